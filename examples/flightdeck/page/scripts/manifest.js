// Writes down which sources the page was built from, so that `cargo test` can tell that it is out of date.

import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const page = fileURLToPath(new URL('..', import.meta.url));
const repository = resolve(page, '../../..');

/** What decides how it is built. */
const CONFIGURATION = ['index.html', 'package.json', 'package-lock.json', 'tsconfig.json', 'vite.config.js', 'scripts/manifest.js'];

const hash = (file) => createHash('sha256').update(readFileSync(file)).digest('hex');

/** All files in a folder. */
const filesIn = (folder) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));

/** A plugin that adds `sources.json`: the page's own files, those of the package that it imports, and their hashes. */
export const manifest = () => ({
  name: 'manifest',
  apply: 'build',
  generateBundle() {
    const imported = [...this.getModuleIds()].filter((id) => id.startsWith(repository) && !id.includes('/node_modules/') && !/[?\0]/.test(id));
    const own = [...CONFIGURATION.map((name) => join(page, name)), ...filesIn(join(page, 'src')), ...filesIn(join(page, 'public'))];
    const files = [...new Set([...own, ...imported])].sort();
    const sources = Object.fromEntries(files.map((file) => [relative(repository, file).replaceAll('\\', '/'), hash(file)]));
    this.emitFile({ type: 'asset', fileName: 'sources.json', source: `${JSON.stringify(sources, null, 2)}\n` });
  },
});
