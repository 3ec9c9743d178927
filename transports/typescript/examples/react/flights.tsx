// ANCHOR: all
import { connect } from "downlink";
import { useFold, useLive } from "downlink/react";

import type { FlightEvent, FlightRow } from "../solid/flight.js";

const api = connect("/api");

export function Board({ airport }: { airport: string }) {
  const board = useLive<FlightRow>(api, "board", { airport });
  const { value: landed, status } = useFold<FlightEvent, number>(api, {
    filter: { tag: `airport:${airport}`, type: "FlightLanded" },
    initial: 0,
    evolve: (count) => count + 1,
    onReset: "restart",
  });
  if (!board.ready) return <p>{board.status.state}</p>;
  return (
    <>
      {board.rows.map(({ flight, gate }) => (
        <p key={flight}>{`${flight} at ${gate}`}</p>
      ))}
      <footer>{`${landed} landed, ${status.state}`}</footer>
    </>
  );
}
// ANCHOR_END: all
