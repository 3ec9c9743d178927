import { Window } from "happy-dom";
import { onTestFinished } from "vitest";

/** A document for a test. `fetch` and the sockets stay those of Node. */
export function dom(): HTMLElement {
  const window = new Window();
  const names = ["document", "Node", "Element", "HTMLElement", "Text", "window"] as const;
  const all = globalThis as Record<string, unknown>;
  const before = names.map((name) => all[name]);
  for (const name of names) all[name] = name === "window" ? window : window[name];
  onTestFinished(async () => {
    await window.happyDOM.close();
    for (const [at, name] of names.entries()) all[name] = before[at];
  });
  const root = window.document.createElement("div");
  window.document.body.append(root);
  return root as unknown as HTMLElement;
}
