import { fileURLToPath } from "node:url";

import solid from "vite-plugin-solid";
import { defineConfig } from "vitest/config";

const build = (file: string) => fileURLToPath(new URL(`node_modules/${file}`, import.meta.url));

export default defineConfig({
  // Only what compiles JSX: the rest of the plugin sets conditions for browsers, which replace `ws` by a stub.
  plugins: [{ name: "solid-jsx", enforce: "pre", transform: solid({ dev: false, hot: false }).transform as never }],
  // The builds for browsers: in Node, SolidJS is for rendering on a server.
  resolve: {
    alias: [
      { find: /^solid-js$/, replacement: build("solid-js/dist/solid.js") },
      { find: /^solid-js\/(web|store)$/, replacement: build("solid-js/$1/dist/$1.js") },
    ],
  },
  test: {
    environment: "node",
    include: ["tests/**/*.test.{ts,tsx}"],
    testTimeout: 120_000,
    hookTimeout: 60_000,
    // Each file starts servers, and the machine has other work.
    maxWorkers: 2,
    server: { deps: { inline: [/solid-js/] } },
  },
});
