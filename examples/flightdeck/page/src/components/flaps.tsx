import { createRenderEffect } from "solid-js";

import { Tile } from "./tile";

/** A text on split-flap tiles. Screen readers need it elsewhere. */
export function Flaps(props: { text: string; length: number; class?: string; steps?: number }) {
  const tiles = Array.from({ length: props.length }, () => new Tile(props.steps ?? 5));
  createRenderEffect(() => {
    const letters = props.text.toUpperCase().padEnd(tiles.length);
    tiles.forEach((tile, index) => tile.turnTo(letters.charAt(index), index));
  });
  return (
    <span class={`flaps ${props.class ?? ""}`} aria-hidden="true">
      {tiles.map(({ element }) => element)}
    </span>
  );
}
