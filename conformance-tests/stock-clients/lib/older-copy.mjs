// A database file that is replaced by an older copy of itself.

import { copyFileSync, readdirSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

/** Copies the file of a stopped program. */
export function backUp(file) {
  copyFileSync(file, `${file}.copy`);
}

/** Replaces the file with the copy, and removes the sidecars of the replaced file. */
export function restore(file) {
  for (const name of readdirSync(dirname(file))) {
    if (/^-/.test(name.slice(basename(file).length)) && name.startsWith(basename(file))) rmSync(join(dirname(file), name));
  }
  copyFileSync(`${file}.copy`, file);
}
