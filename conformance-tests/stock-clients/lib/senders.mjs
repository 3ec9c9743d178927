// Clients that send large bodies. Each takes jobs, `{ url, headers, bytes }`, runs them one after the
// other, and returns the result of each: the status of the response, or the error.

import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const here = (file) => fileURLToPath(new URL(file, import.meta.url));

/** All installed clients: `{ name: async (jobs) => answers }`. */
export async function senders({ folder }) {
  const all = {
    'http.client': python,
    fetch: node,
    // Waits for `100 Continue` before it sends a large body.
    curl: (jobs) => curl(folder, jobs, []),
    'curl without Expect': (jobs) => curl(folder, jobs, ['--header', 'Expect:']),
  };
  if (await run('javac', ['--version']).then(() => true, () => false)) {
    await run('javac', ['-d', folder, here('Post.java')]);
    all.HttpURLConnection = (jobs) => java(folder, 'HttpURLConnection', jobs);
    all.HttpClient = (jobs) => java(folder, 'HttpClient', jobs);
  }
  return all;
}

async function python(jobs) {
  const input = JSON.stringify(jobs.map(({ url, headers, bytes }) => [url, headers, bytes]));
  return JSON.parse((await run('python3', [here('post.py'), input])).stdout);
}

async function node(jobs) {
  const answers = [];
  for (const { url, headers, bytes } of jobs) {
    const post = async () => {
      const answer = await fetch(url, { method: 'POST', headers, body: new Uint8Array(bytes) });
      await answer.text();
      return answer.status;
    };
    answers.push(await post().catch(({ message, cause }) => `${message}: ${cause?.message}`));
  }
  return answers;
}

async function curl(folder, jobs, options) {
  const body = join(folder, 'body');
  const answers = [];
  for (const { url, headers, bytes } of jobs) {
    writeFileSync(body, Buffer.alloc(bytes));
    const named = Object.entries(headers).flatMap(([name, value]) => ['--header', `${name}: ${value}`]);
    const fixed = ['--silent', '--show-error', '--output', '/dev/null', '--write-out', '%{http_code}'];
    const answer = run('curl', [...fixed, ...options, ...named, '--data-binary', `@${body}`, url]);
    answers.push(await answer.then(({ stdout }) => Number(stdout), ({ stderr }) => stderr.trim()));
  }
  return answers;
}

async function java(folder, client, jobs) {
  const named = (headers) => Object.entries(headers).map(([name, value]) => `${name}:${value}`).join(',');
  const args = jobs.map(({ url, headers, bytes }) => [url, bytes, named(headers)].join('\t'));
  const { stdout } = await run('java', ['-cp', folder, 'Post', client, ...args]);
  return stdout.trim().split('\n').map((line) => Number(line) || line);
}
