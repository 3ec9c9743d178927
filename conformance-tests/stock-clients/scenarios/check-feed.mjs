import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { server } from '../lib/program.mjs';
import { scenario, target } from '../lib/scenario.mjs';

await scenario('check-feed finds nothing wrong with the server', async (world) => {
  const program = await (await server(world)).start();
  const { stdout } = await promisify(execFile)(join(target, 'check-feed'), [program.origin])
    .catch(({ message, stdout: found }) => { throw new Error(`${message}\n${found}`); });
  if (/skipped +\w/.test(stdout)) throw new Error(`a check was skipped:\n${stdout}`);
  return stdout.trim().split('\n').at(-1);
});
