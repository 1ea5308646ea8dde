// What arrives is put on the page in one go for a frame, ten times a second at most; while paused, not at all.

import { MOST_BYTES, MOST_EVENTS } from "./log.js";

const APART_MS = 100; // more often nobody can read

export class Arrivals {
  #waiting = [];
  #bytes = 0;
  #last = 0;
  #due = false;
  #paused = false;

  /** `flush(events)`: put these on the page, oldest first. `held(count)`: while paused, so many wait. */
  constructor(flush, held) {
    this.flush = flush;
    this.held = held;
  }

  get waiting() {
    return this.#waiting.length;
  }

  get paused() {
    return this.#paused;
  }

  set paused(paused) {
    this.#paused = paused;
    this.#schedule();
  }

  add(event) {
    this.#waiting.push(event);
    this.#bytes += event.bytes;
    // The page holds no more than these: what is older would leave it at once.
    while (this.#waiting.length > 2 * MOST_EVENTS || this.#bytes > 2 * MOST_BYTES) this.#forgetOldest();
    this.#schedule();
  }

  clear() {
    this.#waiting = [];
    this.#bytes = 0;
  }

  #forgetOldest() {
    const gone = this.#waiting.splice(0, Math.ceil(this.#waiting.length / 2));
    for (const event of gone) this.#bytes -= event.bytes;
  }

  #schedule() {
    if (this.#due) return;
    this.#due = true;
    const wait = Math.max(0, this.#last + APART_MS - performance.now());
    setTimeout(() => requestAnimationFrame(() => this.#turn()), wait);
  }

  #turn() {
    this.#due = false;
    this.#last = performance.now();
    if (this.#paused) return this.held(this.#waiting.length);
    const events = this.#waiting;
    this.clear();
    if (events.length) this.flush(events);
  }
}
