import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { Log } from '../lib/log.mjs';
import { server } from '../lib/program.mjs';
import { expect, scenario } from '../lib/scenario.mjs';
import { backUp, restore } from '../lib/older-copy.mjs';

await scenario('a client that resumes after the database was replaced by an older copy gets 410', async (world) => {
  const file = join(world.folder, 'log.db');
  const program = await (await server(world, file)).start();
  const kept = new Log(program.origin);
  await kept.append(10);
  const shared = await program.head();
  await program.interrupt();
  backUp(file);

  await program.start();
  const lost = kept.fork();
  await lost.append(10);
  const cursor = await program.head();
  await program.interrupt();
  restore(file);

  await program.start();
  expect('past the end of the log', await resume(program, cursor), { status: 410, code: 'cursor-ahead' });
  await kept.append(15);
  expect('in the history that was lost', await resume(program, cursor), { status: 410, code: 'history-changed' });

  const { events } = await program.get(`after=${shared}`);
  expect('from before the copy', events.map(({ id }) => id), kept.events.slice(10).map(({ id }) => id));
  return '410 cursor-ahead, 410 history-changed, and a cursor from before the copy is served';
});

// The response that curl gets.
async function resume(program, cursor) {
  const args = ['--silent', '--max-time', '20', '-N', '-H', 'Accept: text/event-stream', '-H', `Last-Event-ID: ${cursor}`, program.feed];
  const { stdout } = await promisify(execFile)('curl', [...args, '-w', '\n%{http_code}']);
  const [body, status] = stdout.split(/\n(?=\d+$)/);
  return { status: Number(status), code: JSON.parse(body).code };
}
