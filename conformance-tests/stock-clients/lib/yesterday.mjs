// A database file that is replaced by an older copy of itself.

import { copyFileSync, readdirSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

/** Copies the file of a program that is stopped. */
export function backUp(file) {
  copyFileSync(file, `${file}.yesterday`);
}

/** Puts the copy in its place, without what belonged to the file that was there. */
export function restore(file) {
  for (const name of readdirSync(dirname(file))) {
    if (/^-/.test(name.slice(basename(file).length)) && name.startsWith(basename(file))) rmSync(join(dirname(file), name));
  }
  copyFileSync(`${file}.yesterday`, file);
}
