import type { BoardRow as Flight } from "../model/commands";
import { expected, inWords, STATUS } from "../model/flights";
import { short } from "../model/time";
import { Flaps } from "./flaps";

/** One line of the board: a flight, or a text where there is none. */
export function BoardRow(props: { flight: Flight | undefined; text: string; ref: (button: HTMLButtonElement) => void; onChoose: (id: string) => void }) {
  const cell = (text: (flight: Flight) => string) => (props.flight ? text(props.flight) : "");
  return (
    <li aria-hidden={!props.flight || undefined}>
      <button
        type="button"
        class="row"
        ref={props.ref}
        disabled={!props.flight}
        data-status={props.flight?.status}
        data-unconfirmed={props.flight?.unconfirmed}
        onClick={() => props.flight && props.onChoose(props.flight.id)}
      >
        <Flaps class="time" length={5} text={cell(({ scheduled }) => short(scheduled))} />
        <Flaps class="flight" length={6} text={cell(({ id }) => id)} />
        <Flaps class="city" length={15} text={props.flight?.city ?? props.text} />
        <Flaps class="from" length={3} text={cell(({ from }) => from)} />
        <Flaps class="gate" length={4} text={cell(({ gate }) => gate)} />
        <Flaps class="expected" length={5} text={cell(expected)} />
        <Flaps class="status" length={9} text={cell(({ status }) => STATUS[status])} />
        <span class="lamp" aria-hidden="true" />
        <span class="unseen">{props.flight && inWords(props.flight)}</span>
      </button>
    </li>
  );
}
