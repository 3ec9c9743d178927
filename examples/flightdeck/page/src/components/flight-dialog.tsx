import type { Envelope } from "downlink";
import { createMemo, createResource, createSignal, For, onMount, Show } from "solid-js";

import { useDeck } from "../deck";
import { type BoardRow, refusal } from "../model/commands";
import { type DeckEvent, happened, isReadable, summary } from "../model/deck-event";
import { isOnTheGround } from "../model/flights";
import { short } from "../model/time";

/** A flight, its history and its commands. */
export function FlightDialog(props: { id: string; onClose: () => void }) {
  const deck = useDeck();
  let dialog!: HTMLDialogElement;
  const flight = createMemo<BoardRow | undefined>((last) => deck.board.rows.find(({ id }) => id === props.id) ?? last);
  onMount(() => dialog.showModal());
  return (
    <dialog ref={dialog} aria-labelledby="dialog-title" onClose={() => props.onClose()}>
      <Show when={flight()}>
        {(flight) => (
          <>
            <header>
              <h2 id="dialog-title">{flight().id} to {flight().city}</h2>
              <form method="dialog"><button aria-label="Close">×</button></form>
            </header>
            <p>
              From {flight().from}, gate {flight().gate}, at {short(flight().scheduled)}, to {flight().to} by {short(flight().arrives)} New
              York time{flight().aircraft && `, aircraft ${flight().aircraft}`}.
            </p>
            <History flight={flight()} />
            <Show when={isOnTheGround(flight()) || flight().unconfirmed}>
              <Commands flight={flight()} onDone={() => dialog.close()} />
            </Show>
          </>
        )}
      </Show>
    </dialog>
  );
}

/** The events of the flight: one stream. It is read again when the board has another version of the flight. */
function History(props: { flight: BoardRow }) {
  const stream = () => `api/streams/flight-${props.flight.id}`;
  const load = async (): Promise<DeckEvent[]> => {
    const answer = await fetch(`${stream()}?limit=1000`);
    const { events } = (await answer.json()) as { events: Envelope[] };
    return events.filter(isReadable);
  };
  const [events] = createResource(() => props.flight.version, () => load().catch(() => []), { initialValue: [] });
  return (
    <>
      <ol class="history" tabindex="0" aria-label="Events of this flight">
        <For each={events.latest}>
          {(event) => <li><span>{event.version}</span><span>{short(happened(event))}</span><span>{summary(event)}</span></li>}
        </For>
      </ol>
      <p class="detail">Stream: <a href={stream()} target="_blank" rel="noopener">{stream()}</a></p>
    </>
  );
}

function Commands(props: { flight: BoardRow; onDone: () => void }) {
  const { commands } = useDeck();
  const [minutes, setMinutes] = createSignal(30);
  const [reason, setReason] = createSignal("");
  const [gate, setGate] = createSignal(props.flight.gate);
  const [refused, setRefused] = createSignal("");
  const actions = {
    delay: () => commands.delay(props.flight, minutes(), reason()),
    gate: () => commands.changeGate(props.flight, gate().trim().toUpperCase()),
    cancel: () => commands.cancel(props.flight, reason()),
  };

  async function submit(event: SubmitEvent) {
    event.preventDefault();
    const action = (event.submitter as HTMLButtonElement).value as keyof typeof actions;
    setRefused("");
    try {
      await actions[action]();
      props.onDone();
    } catch (error) {
      setRefused(`${props.flight.id}: ${refusal(error)}`);
    }
  }

  return (
    <form onSubmit={submit} aria-busy={props.flight.unconfirmed}>
      <div class="fields">
        <label class="minutes">
          Minutes
          <input type="number" inputmode="numeric" min="1" max="720" required value={minutes()} onInput={(event) => setMinutes(event.target.valueAsNumber)} />
        </label>
        <label class="reason">
          Reason
          <input type="text" maxlength="80" placeholder="optional, visible to everyone" autocomplete="off" value={reason()} onInput={(event) => setReason(event.target.value)} />
        </label>
      </div>
      <div class="fields">
        <button type="submit" value="delay" class="primary">Delay</button>
        <span class="gate-choice">
          <label class="unseen" for="gate">Gate</label>
          <input id="gate" type="text" maxlength="4" size="4" pattern="[A-Za-z][0-9]{1,3}" title="A letter and a number, for example C71" autocomplete="off" value={gate()} onInput={(event) => setGate(event.target.value)} />
          <button type="submit" value="gate">Change gate</button>
        </span>
        <button type="submit" value="cancel" class="danger" formnovalidate>Cancel this flight</button>
      </div>
      <p class="refusal" role="alert">{refused()}</p>
    </form>
  );
}
