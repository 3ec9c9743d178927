// The frame of every scenario: a folder, a deadline, and a cleanup that leaves nothing running.

import { mkdirSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';

const DEADLINE = 120_000;

/** The environment of the scenarios: the paths of the programs and of the working folder. */
export const { DOWNLINK_TARGET: target, CHROMIUM: chromium, PAGE_TESTS: work } = process.env;

/**
 * Runs one scenario and prints its line: `ok what (figures)`, or what failed and where to look.
 *
 * @param body takes `{ folder, defer, milliseconds }`: an empty folder, a function that registers a cleanup
 *             for the end, however the scenario ends, and how long it may take; returns the figures
 * @param milliseconds how long it may take
 */
export async function scenario(what, body, milliseconds = DEADLINE) {
  const folder = join(work, basename(process.argv[1], '.mjs'));
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const undo = [];
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));
  process.exitCode = 1;
  try {
    const figures = await Promise.race([body({ folder, defer: (end) => undo.push(end), milliseconds }), deadline(milliseconds)]);
    console.log(`ok ${what} (${figures})`);
    process.exitCode = 0;
  } catch (error) {
    console.log(`FAILED ${what}\n${error.stack ?? error}\n${logTails(folder)}all files: ${folder}`);
  }
  for (const end of undo.reverse()) await end();
  process.exit();
}

/** Waits until the condition returns something truthy, and returns that. */
export async function until(what, condition, milliseconds = 45_000) {
  const end = performance.now() + milliseconds;
  for (;;) {
    const met = await condition();
    if (met) return met;
    if (performance.now() > end) throw new Error(`waited ${milliseconds / 1000} s, and this did not happen: ${what}`);
    await pause(20);
  }
}

export const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

/** Throws an error with both values unless they are equal. */
export function expect(what, found, expected) {
  const [is, should] = [found, expected].map((value) => JSON.stringify(value));
  if (is !== should) throw new Error(`${what}: expected ${short(should)}, found ${short(is)}`);
}

const short = (text) => (text?.length > 400 ? `${text.slice(0, 400)}… (${text.length} characters)` : text);

function deadline(milliseconds) {
  const late = (_, fail) =>
    setTimeout(() => fail(new Error(`not done after ${milliseconds / 1000} s`)), milliseconds).unref();
  return new Promise(late);
}

// The last lines of all logs in the folder.
function logTails(folder) {
  const end = (name) => readFileSync(join(folder, name), 'utf8').trimEnd().split('\n').slice(-8);
  const logs = readdirSync(folder).filter((name) => name.endsWith('.log'));
  return logs.map((name) => `-- the end of ${name}\n${end(name).join('\n')}\n`).join('');
}
