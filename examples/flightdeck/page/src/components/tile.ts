/** A drum of letters, which only turns forwards. */
const DRUM = " ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:.-'+";
const STEP = 62;

const still = window.matchMedia("(prefers-reduced-motion: reduce)");
const turning = new Set<Tile>();
let ticker: ReturnType<typeof setInterval> | undefined;

function tick(): void {
  for (const tile of turning) if (!tile.step()) turning.delete(tile);
  if (turning.size > 0) return;
  clearInterval(ticker);
  ticker = undefined;
}

/** The letters on the way from one letter to another, at most `most` of them. */
function path(from: string, to: string, most: number): string[] {
  const start = Math.max(0, DRUM.indexOf(from));
  const end = Math.max(0, DRUM.indexOf(to));
  const turns = (end - start + DRUM.length) % DRUM.length;
  const steps = Math.min(turns, most);
  const letters = Array.from({ length: steps }, (_, step) => DRUM.charAt((start + Math.round((turns * (step + 1)) / steps)) % DRUM.length));
  return [...letters.slice(0, -1), to];
}

/** A split-flap tile: one letter. All tiles of the page turn with one timer. */
export class Tile {
  readonly element = document.createElement("i");
  #shown = " ";
  #coming: (string | undefined)[] = [];
  #isEven = false;
  readonly #steps: number;

  /** @param steps how many letters it shows at most on its way to another */
  constructor(steps: number) {
    this.#steps = steps;
  }

  /** Turns to a letter. Tiles further right turn later. */
  turnTo(letter: string, index: number): void {
    if (letter === (this.#coming.at(-1) ?? this.#shown)) return;
    if (still.matches || document.hidden) return this.#jump(letter);
    this.#coming = [...Array<undefined>(index >> 2), ...path(this.#shown, letter, this.#steps)];
    turning.add(this);
    ticker ??= setInterval(tick, STEP);
  }

  /** Turns one step. Returns false after the last. */
  step(): boolean {
    const letter = this.#coming.shift();
    if (letter) this.#fall(letter);
    return this.#coming.length > 0;
  }

  #fall(letter: string): void {
    this.element.dataset["old"] = this.#shown;
    this.element.textContent = this.#shown = letter;
    // Two identical animations: switching between them restarts the animation.
    this.#isEven = !this.#isEven;
    this.element.className = this.#isEven ? "fall-a" : "fall-b";
  }

  #jump(letter: string): void {
    this.#coming = [];
    turning.delete(this);
    this.element.className = "";
    this.element.textContent = this.#shown = letter;
  }
}
