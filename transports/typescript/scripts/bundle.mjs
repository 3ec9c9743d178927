// Builds `bundle/downlink.js`: the core, live queries and tabs in one file, for pages without a build. With `--check`
// it only compares.

import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { build } from 'vite';

import { sources } from './sources.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const [{ output }] = [await build({
  configFile: false, logLevel: 'error', root,
  plugins: [sources(root, ['package-lock.json', 'scripts/bundle.mjs'])],
  build: {
    write: false, target: 'es2022',
    lib: { entry: `${root}src/bundle.ts`, formats: ['es'] },
    rolldownOptions: { output: { entryFileNames: 'downlink.js', codeSplitting: false, minify: true } },
  },
})].flat();

for (const { fileName, code, source } of output) {
  const file = new URL(`../bundle/${fileName}`, import.meta.url);
  if (!process.argv.includes('--check')) writeFileSync(file, code ?? source);
  else if (readFileSync(file, 'utf8') !== (code ?? source)) {
    console.error(`bundle/${fileName} is not what the sources build: run npm run bundle, and commit it`);
    process.exit(1);
  }
}
