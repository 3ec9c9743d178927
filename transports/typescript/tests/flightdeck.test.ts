import { describe, expect, it, onTestFinished } from "vitest";

import { connect } from "../src/index.js";
import { live } from "../src/live.js";
import { options, TRANSPORTS } from "./support/collect.js";
import { FLIGHTDECK, Program, until } from "./support/program.js";

interface Flight {
  id: string;
  status: string;
  changed: string;
}

interface Result {
  cursor: string;
  rows: Flight[];
}

describe.each(TRANSPORTS)("FlightDeck's board over %s", (transport) => {
  it("equals the server's answer, through kill -9", async () => {
    const program = await Program.start(FLIGHTDECK);
    const api = connect(program.origin, options({ transports: [transport], pollWait: 2 }));
    const board = live<Flight>(api, "board");
    let changes = 0;
    let backwards = 0;
    let cursor = "";
    onTestFinished(
      board.subscribe((now) => {
        changes++;
        if ((now.cursor ?? "") < cursor) backwards++;
        cursor = now.cursor ?? cursor;
      }),
    );
    for (let round = 0; round < 2; round++) {
      const before = changes;
      await until("the board changes", () => changes > before + 10 && board.snapshot.status.state === "live");
      await program.kill();
      await until("the end is noticed", () => board.snapshot.status.state === "reconnecting");
      await program.start();
    }
    const before = changes;
    await until("the board changes", () => changes > before + 10 && board.snapshot.status.state === "live");

    const { cursor: paused } = await api.post("/replay", { paused: true });
    if (paused) await board.awaitCursor(paused);
    await until("the board is at rest, and equals the answer", async () => {
      const { rows } = (await (await fetch(`${program.origin}/live/board`)).json()) as Result;
      return rows.length > 10 && JSON.stringify(rows) === JSON.stringify(board.snapshot.rows);
    });
    expect([backwards, board.snapshot.key]).toEqual([0, "id"]);
  });
});
