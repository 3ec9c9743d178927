// The package as it is published, in an empty project.

import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { browser } from '../../../../conformance-tests/stock-clients/lib/browser.mjs';
import { server } from '../../../../conformance-tests/stock-clients/lib/program.mjs';
import { expect, scenario } from '../../../../conformance-tests/stock-clients/lib/scenario.mjs';
import { append, counting } from './lib/tabs.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));

const MAIN = `import { connect } from 'downlink';
import { createFold } from 'downlink/solid';
import { render } from 'solid-js/web';

type CountEvent = { Counted: { n: number } };

function Sum() {
  const sum = createFold<CountEvent, number>(connect('/'), {
    filter: { stream: 'numbers' },
    initial: 0,
    evolve: (sum, event) => sum + event.data.n,
    onReset: 'restart',
  });
  return <p>{sum()} {sum.state}</p>;
}

render(() => <Sum />, document.body);
`;

function run(folder, command, ...args) {
  return execFileSync(command, args, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

/** An application of twenty lines, built with the packed package. */
function application(folder) {
  const [{ filename, files }] = JSON.parse(run(root, 'npm', 'pack', '--json', '--silent', '--pack-destination', folder));
  const unexpected = files.map(({ path }) => path).filter((path) => !/^(dist\/|bundle\/downlink\.js$|package\.json$|(README|API)\.md$)/.test(path));
  expect('files that do not belong into the package', unexpected, []);
  const project = join(folder, 'project');
  mkdirSync(join(project, 'src'), { recursive: true });
  const { devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const pinned = (...names) => Object.fromEntries(names.map((name) => [name, devDependencies[name]]));
  const write = (name, text) => writeFileSync(join(project, name), text);
  write('package.json', JSON.stringify({
    private: true,
    type: 'module',
    dependencies: { downlink: `file:../${filename}`, ...pinned('solid-js') },
    devDependencies: pinned('typescript', 'vite', 'vite-plugin-solid'),
  }));
  write('tsconfig.json', JSON.stringify({ compilerOptions: {
    target: 'ES2022', module: 'ESNext', moduleResolution: 'Bundler', lib: ['ES2022', 'DOM'], types: [], strict: true, noEmit: true, jsx: 'preserve', jsxImportSource: 'solid-js',
  }, include: ['src'] }));
  write('vite.config.js', "import solid from 'vite-plugin-solid';\nexport default { plugins: [solid()] };\n");
  write('index.html', '<!doctype html><title>Sum</title><body><script type="module" src="/src/main.tsx"></script></body>');
  write('src/main.tsx', MAIN);
  run(project, 'npm', 'install', '--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error');
  run(project, 'npx', 'tsc');
  run(project, 'npx', 'vite', 'build', '--logLevel', 'error');
  return join(project, 'dist');
}

await scenario('the packed package in an empty Vite and SolidJS project is a live page', async (world) => {
  const dist = application(world.folder);
  const assets = Object.fromEntries(readdirSync(join(dist, 'assets')).map((name) => [`/assets/${name}`, readFileSync(join(dist, 'assets', name))]));
  const program = await (await server(world)).start();
  const proxy = await counting(world, program, { ...assets, '/tab': readFileSync(join(dist, 'index.html')) });
  await append(program, 1, 100);
  const page = await (await browser(world)).newPage();
  await page.goto(`${proxy.origin}/tab`);
  await page.getByText('5050 live').waitFor();
  await append(program, 101, 101);
  await page.getByText('5151 live').waitFor();
  const bytes = Object.values(assets).reduce((sum, { length }) => sum + length, 0);
  return `${MAIN.trim().split('\n').length} lines, ${Math.round(bytes / 1000)} kB of JavaScript`;
}, 240_000);
