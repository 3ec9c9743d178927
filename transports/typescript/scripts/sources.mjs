// Writes down which sources something was built from, so that `cargo test` can tell that it is out of date.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { relative, resolve } from 'node:path';

const hash = (file) => createHash('sha256').update(readFileSync(file)).digest('hex');

/**
 * A plugin for Vite that adds `sources.json`: the hashes of all modules that were bundled, except those of other
 * packages, and of the files that are named, such as the lock file. Paths are relative to `root`.
 */
export const sources = (root, files) => ({
  name: 'sources',
  apply: 'build',
  generateBundle() {
    const modules = [...this.getModuleIds()].filter((id) => id.startsWith(root) && !/node_modules|[?\0]/.test(id));
    const all = [...new Set([...modules, ...files.map((file) => resolve(root, file))])].sort();
    const hashes = Object.fromEntries(all.map((file) => [relative(root, file).replaceAll('\\', '/'), hash(file)]));
    this.emitFile({ type: 'asset', fileName: 'sources.json', source: `${JSON.stringify(hashes, null, 2)}\n` });
  },
});
