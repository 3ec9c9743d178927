import { fileURLToPath } from 'node:url';

import { defineConfig } from 'vite';
import solid from 'vite-plugin-solid';

import { sources } from '../../../transports/typescript/scripts/sources.mjs';

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url));
const named = ['index.html', 'package-lock.json', 'public/favicon.svg', 'vite.config.js'];

export default defineConfig({
  plugins: [solid(), sources(path('../../../'), named.map((name) => path(name)))],
  // Relative, so that the page works under any path.
  base: './',
  resolve: {
    // The package of this repository. An application that installs `downlink` needs neither of these lines.
    alias: [{ find: /^downlink(\/.*)?$/, replacement: `${path('../../../transports/typescript/src')}$1` }],
    dedupe: ['solid-js'],
  },
  build: {
    outDir: '../assets',
    emptyOutDir: true,
    target: 'es2022',
    // Browsers of 2024 know `light-dark()`.
    cssTarget: ['chrome123', 'firefox120', 'safari17.5'],
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    rolldownOptions: {
      // Fixed names and one script: they are built into the program, which names them.
      output: { entryFileNames: 'page.js', assetFileNames: 'page[extname]', codeSplitting: false },
    },
  },
  // `npm run dev` beside `cargo run`.
  server: { proxy: { '/api': { target: 'http://127.0.0.1:3000', ws: true } } },
});
