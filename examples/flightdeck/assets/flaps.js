// Split-flap tiles: one character each, on a drum that only turns forwards.

const DRUM = " ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:.-'+";
const STEP_MS = 62;

const still = window.matchMedia('(prefers-reduced-motion: reduce)');
const turning = new Set();
let ticker = 0;

/** A line of tiles that shows a text. */
export class Flaps {
  /** The element with the tiles. It is hidden from screen readers, which need a label elsewhere. */
  element = document.createElement('span');

  #tiles;
  #text = '';

  /** @param steps the maximum number of letters a tile shows on its way to another */
  constructor(length, className = '', steps = 5) {
    this.element.className = `flaps ${className}`;
    this.element.setAttribute('aria-hidden', 'true');
    this.#tiles = Array.from({ length }, () => new Tile(steps));
    this.element.append(...this.#tiles.map((tile) => tile.element));
  }

  show(text) {
    if (text === this.#text) return;
    this.#text = text;
    const letters = text.toUpperCase().padEnd(this.#tiles.length);
    this.#tiles.forEach((tile, index) => tile.turnTo(letters[index], index));
  }
}

class Tile {
  element = document.createElement('i');

  #shown = ' ';
  #coming = [];
  #even = false;
  #steps;

  constructor(steps) {
    this.#steps = steps;
  }

  turnTo(letter, index) {
    const from = this.#coming.at(-1) ?? this.#shown;
    if (letter === from && this.#coming.length === 0) return;
    if (still.matches || document.hidden) return this.#jump(letter);
    // Tiles further right turn later.
    this.#coming = [...Array(index >> 2).fill(null), ...path(this.#shown, letter, this.#steps)];
    turning.add(this);
    ticker ||= setInterval(tick, STEP_MS);
  }

  /** Turns one step. Returns false after the last. */
  step() {
    const letter = this.#coming.shift();
    if (letter) this.#fall(letter);
    return this.#coming.length > 0;
  }

  #fall(letter) {
    this.element.dataset.old = this.#shown;
    this.element.textContent = this.#shown = letter;
    // Two identical animations: switching between them restarts the animation.
    this.#even = !this.#even;
    this.element.className = this.#even ? 'fall-a' : 'fall-b';
  }

  #jump(letter) {
    this.#coming = [];
    turning.delete(this);
    this.element.className = '';
    this.element.textContent = this.#shown = letter;
  }
}

/** The letters on the way from one letter to another, at most `max` of them. */
function path(from, to, max) {
  const start = Math.max(0, DRUM.indexOf(from));
  const end = Math.max(0, DRUM.indexOf(to));
  const turns = (end - start + DRUM.length) % DRUM.length;
  const steps = Math.min(turns, max);
  const letters = Array.from({ length: steps }, (_, step) =>
    DRUM[(start + Math.round((turns * (step + 1)) / steps)) % DRUM.length]);
  return [...letters.slice(0, -1), to];
}

function tick() {
  for (const tile of turning) if (!tile.step()) turning.delete(tile);
  if (turning.size > 0) return;
  clearInterval(ticker);
  ticker = 0;
}
