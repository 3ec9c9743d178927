// Writes `API.md`: what each entry exports, with its documentation, from the declarations that tsc makes. With
// `--check` it only compares. (TypeScript 7 has no API that documentation tools could use.)

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { parseAst } from 'rolldown/parseAst';

const root = fileURLToPath(new URL('..', import.meta.url));
const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

const folder = mkdtempSync(join(tmpdir(), 'downlink-api-'));
execFileSync(join(root, 'node_modules/.bin/tsc'), ['-p', root, '--emitDeclarationOnly', '--outDir', folder], { stdio: 'inherit' });

/** The statements of a file, each with the comment before it. */
function statements(file) {
  const text = readFileSync(join(folder, file), 'utf8');
  const { body } = parseAst(text, { lang: 'dts' });
  return body.map((node, at) => ({ node, text: text.slice(body[at - 1]?.end ?? 0, node.end).trim() }));
}

const nameOf = ({ declaration: it }) => it?.id?.name ?? it?.declarations?.[0].id.name;

/** What a file exports: name and text of each. */
function exported(file) {
  return statements(file).flatMap(({ node, text }) => {
    if (node.type === 'ExportAllDeclaration') return exported(fileOf(node.source.value));
    if (node.type !== 'ExportNamedDeclaration') return [];
    if (node.declaration) return [{ name: nameOf(node), text }];
    const wanted = new Set(node.specifiers.map(({ local }) => local.name));
    return node.source ? exported(fileOf(node.source.value)).filter(({ name }) => wanted.has(name)) : [];
  });
}

const fileOf = (module) => module.replace(/^\.\//, '').replace(/\.js$/, '.d.ts');

/** Without what only the package itself sees. */
const readable = (text) => text
  .split('\n')
  .filter((line) => !/^\s*(#private;|private |import )/.test(line))
  .join('\n')
  .replaceAll('export declare ', 'export ');

const entries = Object.entries(exports).map(([path, { types }]) => {
  const all = exported(types.replace('./dist/', '')).map(({ text }) => `\`\`\`ts\n${readable(text)}\n\`\`\`\n`);
  return `## ${path.replace('.', 'downlink')}\n\n${all.join('\n')}`;
});
rmSync(folder, { recursive: true });

const api = `# API of downlink\n\nMade from the types by \`npm run api\`. The [README](README.md) explains how the parts belong together.\n\n${entries.join('\n')}`;
const file = join(root, 'API.md');
if (!process.argv.includes('--check')) writeFileSync(file, api);
else if (readFileSync(file, 'utf8') !== api) {
  console.error('API.md is not what the types say: run npm run api, and commit it');
  process.exit(1);
}
