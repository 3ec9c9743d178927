// Bundles and compresses each entry as an application would, and fails if one is above its budget. The others are
// one file each, and are counted as what they add to `downlink`.

import { gzipSync } from 'node:zlib';
import { fileURLToPath } from 'node:url';

import { build } from 'vite';

// Bytes, gzipped.
const BUDGETS = { index: 7000, live: 1500, tabs: 2500, solid: 1000, react: 1000, 'tanstack-db': 1500 };

const src = fileURLToPath(new URL('../src', import.meta.url));
const external = (entry) => (id) => (entry !== 'index' || id === './tabs.js') && !id.endsWith(`/${entry}.ts`);

let isOver = false;
for (const [entry, budget] of Object.entries(BUDGETS)) {
  const { output } = [await build({
    configFile: false, logLevel: 'error', root: src,
    build: {
      write: false, minify: true, target: 'es2022',
      lib: { entry: `${src}/${entry}.ts`, formats: ['es'] },
      rolldownOptions: { external: external(entry), output: { minify: true } },
    },
  })].flat()[0];
  const bytes = gzipSync(output[0].code, { level: 9 }).length;
  const over = bytes > budget;
  isOver ||= over;
  console.log(`${entry === 'index' ? 'downlink' : `downlink/${entry}`}: ${bytes} of ${budget} bytes${over ? ', too large' : ''}`);
}
process.exit(isOver ? 1 : 0);
