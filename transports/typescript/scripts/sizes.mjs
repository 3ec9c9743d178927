// Bundles and compresses each entry as an application would, and fails if one is above its budget. The others are
// counted as what they add to `downlink`. What `downlink` loads only where a WebSocket does not work is listed, and not
// counted.

import { gzipSync } from 'node:zlib';
import { fileURLToPath } from 'node:url';

import { build } from 'vite';

// Bytes, gzipped.
const BUDGETS = { index: 6000, live: 1500, tabs: 2500, solid: 1000, react: 1000, 'tanstack-db': 1500 };

const src = fileURLToPath(new URL('../src', import.meta.url));
const LAZY = ['tabs', 'fallback'];
// What belongs to an entry, although it is a file of its own.
const PARTS = { tabs: /\/tab-/, fallback: /\/(sse|long-poll|upgrade)\.[jt]s$/ };
const external = (entry) => (id) => (entry !== 'index' || LAZY.some((name) => id === `./${name}.js`)) && !id.endsWith(`/${entry}.ts`) && !(PARTS[entry] ?? /^$/).test(id);

/** The bytes of one entry, gzipped. */
async function size(entry) {
  const [{ output }] = [await build({
    configFile: false, logLevel: 'error', root: src,
    build: {
      write: false, minify: true, target: 'es2022',
      lib: { entry: `${src}/${entry}.ts`, formats: ['es'] },
      rolldownOptions: { external: external(entry), output: { minify: true } },
    },
  })].flat();
  if (output.length !== 1) throw new Error(`${entry} has ${output.length} chunks: list what it loads later as LAZY`);
  return gzipSync(output[0].code, { level: 9 }).length;
}

let isOver = false;
for (const [entry, budget] of Object.entries(BUDGETS)) {
  const bytes = await size(entry);
  isOver ||= bytes > budget;
  console.log(`${entry === 'index' ? 'downlink' : `downlink/${entry}`}: ${bytes} of ${budget} bytes${bytes > budget ? ', too large' : ''}`);
}
console.log(`fallback, loaded when a WebSocket does not work: ${await size('fallback')} bytes`);
process.exit(isOver ? 1 : 0);
