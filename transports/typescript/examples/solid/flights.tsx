// ANCHOR: all
import { connect, type Events } from "downlink";
import { createFold, createLive } from "downlink/solid";
import { For, Show } from "solid-js";
import { render } from "solid-js/web";

import type { FlightEvent, FlightRow } from "./flight.js";

const api = connect("/api");

function Board(props: { airport: string }) {
  // ANCHOR: live
  const board = createLive<FlightRow>(api, "board", () => ({ airport: props.airport }));
  // ANCHOR_END: live
  // ANCHOR: fold
  const entry = (event: Events<FlightEvent>) => `${event.time} ${event.stream} ${event.type}`;
  const log = createFold<FlightEvent, string[]>(api, {
    filter: () => ({ tag: `airport:${props.airport}` }),
    after: "last:60",
    initial: [],
    evolve: (all, event) => [...all, entry(event)].slice(-120),
    onReset: "restart",
  });
  // ANCHOR_END: fold
  // ANCHOR: mutate
  const delay = (row: FlightRow) =>
    board
      .mutate({ flight: row.flight, minutes: row.minutes + 20 }, () => api.post(`/flights/${row.flight}/delay`, { minutes: 20 }))
      .catch((error: Error) => alert(error.message));
  // ANCHOR_END: mutate
  return (
    <Show when={board.ready} fallback={<p>{board.state}</p>}>
      <table>
        <For each={board.rows}>
          {(row) => (
            <tr>
              <td>{row.flight}</td>
              <td>{row.gate}</td>
              <td>{row.minutes}</td>
              <td>
                <button onClick={() => delay(row)}>Delay</button>
              </td>
            </tr>
          )}
        </For>
      </table>
      <For each={log()}>{(line) => <p>{line}</p>}</For>
      <footer>{log.state}</footer>
    </Show>
  );
}

render(() => <Board airport="EWR" />, document.body);
// ANCHOR_END: all
