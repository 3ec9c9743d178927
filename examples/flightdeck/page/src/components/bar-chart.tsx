import { Index, type JSX, Show } from "solid-js";

interface Bar {
  name: string;
  parts: readonly { kind: string; count: number }[];
  /** The count of a full bar. */
  of: number;
  text: string;
}

/** Horizontal bars, each in parts. It is a table, so that a screen reader reads what the bars show. */
export function BarChart(props: { class: string; caption: string; columns: readonly [string, string]; bars: readonly Bar[]; empty: string; children?: JSX.Element }) {
  return (
    <Show when={props.bars.length > 0} fallback={<p class="detail">{props.empty}</p>}>
      <table class={`chart ${props.class}`}>
        <caption>{props.caption}</caption>
        <thead class="unseen">
          <tr><th scope="col">{props.columns[0]}</th><td /><th scope="col">{props.columns[1]}</th></tr>
        </thead>
        <tbody>
          <Index each={props.bars}>
            {(bar) => (
              <tr>
                <th scope="row">{bar().name}</th>
                <td aria-hidden="true"><Parts bar={bar()} /></td>
                <td>{bar().text}</td>
              </tr>
            )}
          </Index>
        </tbody>
      </table>
      {props.children}
    </Show>
  );
}

function Parts(props: { bar: Bar }) {
  const share = (count: number) => (100 * count) / props.bar.of;
  const before = (part: number) => props.bar.parts.slice(0, part).reduce((sum, { count }) => sum + count, 0);
  return (
    <svg viewBox="0 0 100 10" preserveAspectRatio="none">
      <Index each={props.bar.parts}>
        {(part, index) => <rect class={part().kind} x={share(before(index))} width={share(part().count)} height="10" />}
      </Index>
    </svg>
  );
}
