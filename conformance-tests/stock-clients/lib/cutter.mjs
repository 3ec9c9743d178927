// A proxy that forwards a number of bytes of each response and then cuts the connection.

import { once } from 'node:events';
import { connect, createServer } from 'node:net';

export class Cutter {
  /** How many connections it has cut. */
  cuts = 0;
  #lengths;
  #sockets = new Set();

  /** @param lengths after how many bytes the first responses are cut; later ones are not */
  static async between(world, origin, lengths) {
    const cutter = new Cutter();
    cutter.#lengths = [...lengths];
    const server = createServer((near) => cutter.#pass(near, Number(new URL(origin).port)));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    cutter.origin = `http://127.0.0.1:${server.address().port}`;
    world.defer(() => {
      server.close();
      cutter.#sockets.forEach((socket) => socket.destroy());
    });
    return cutter;
  }

  /** Cuts what is open now, and the next connections after these numbers of bytes of their responses. */
  cutNow(lengths) {
    this.#lengths.push(...lengths);
    for (const socket of this.#sockets) socket.destroy();
  }

  #pass(near, port) {
    const far = connect(port, '127.0.0.1');
    let left = this.#lengths.shift() ?? Infinity;
    for (const [one, other] of [[near, far], [far, near]]) {
      this.#sockets.add(one);
      one.on('error', () => other.destroy());
      one.on('close', () => {
        this.#sockets.delete(one);
        other.destroySoon();
      });
    }
    near.pipe(far);
    far.on('data', (bytes) => {
      if (bytes.length < left) {
        left -= bytes.length;
        near.write(bytes);
      } else if (left > 0) {
        near.write(bytes.subarray(0, left), () => this.#cut(near, far));
        left = 0;
      }
    });
  }

  // Alternates between a peer that closes the connection and one that resets it.
  #cut(near, far) {
    this.cuts += 1;
    far.destroy();
    if (this.cuts % 2 === 0) near.resetAndDestroy();
    else near.destroySoon();
  }
}
