import type { Filter, Transport } from "downlink";
import { createEffect } from "solid-js";
import { createStore, type SetStoreFunction } from "solid-js/store";

import type { View } from "./flights";

/** In order of preference: a page that prefers one falls back to those after it. */
export const TRANSPORTS: readonly Transport[] = ["websocket", "sse", "long-poll"];

/** What the user has chosen; an empty text is everything. */
export interface Choice {
  airport: string;
  airline: string;
  /** A type of events, or a prefix of types followed by `*`. */
  type: string;
  transport: Transport;
  view: View;
}

/** The choice of this page, kept in its URL. */
export function createChoice(): [Choice, SetStoreFunction<Choice>] {
  const url = new URLSearchParams(location.search);
  const [choice, setChoice] = createStore<Choice>({
    airport: url.get("airport") ?? "",
    airline: url.get("airline") ?? "",
    type: url.get("type") ?? "",
    transport: TRANSPORTS.find((name) => name === url.get("transport")) ?? "websocket",
    view: "board",
  });
  createEffect(() => {
    const { airport, airline, type, transport } = choice;
    const kept = Object.entries({ airport, airline, type, transport: transport === "websocket" ? "" : transport });
    const query = new URLSearchParams(kept.filter(([, value]) => value));
    history.replaceState(null, "", query.size ? `?${query}` : location.pathname);
  });
  return [choice, setChoice];
}

/** The chosen airport and airline, as parameters of a live query. */
export const selected = ({ airport, airline }: Choice) => ({ airport: airport || undefined, airline: airline || undefined });

/** The same as a filter of the feed. */
export function tags({ airport, airline }: Choice): Filter {
  const tag = [airport && `airport:${airport}`, airline && `airline:${airline}`].filter(Boolean);
  return tag.length ? { tag } : {};
}

/** The filter of the chosen type. */
export const ofType = (type: string): Filter => (type.endsWith("*") ? { type_prefix: type.slice(0, -1) } : { type });
