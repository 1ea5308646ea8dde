// How it stands: in a word with a lamp for those who look, and said now and then for those who listen.

import { h, one } from "./dom.js";

const SAY_MS = 15_000; // between two counts of what arrived: a voice that never ends helps nobody

export class Status {
  #arrived = 0;
  #said = 0;
  #until = 0;

  constructor() {
    setInterval(() => this.#tick(), 1000);
  }

  /** `kind`: connecting, live, paused, away, refused. `again`: when the next attempt is due, in ms; 0: none. */
  show(kind, words, again = 0) {
    const changed = one("state").dataset.kind !== kind;
    one("state").dataset.kind = kind;
    this.words = words;
    this.#until = again;
    one("retry").hidden = !again;
    this.#draw();
    if (changed) this.say(words);
  }

  say(words) {
    one("said").textContent = words;
    this.#said = Date.now();
  }

  arrived(count) {
    this.#arrived += count;
  }

  #draw() {
    const seconds = Math.ceil((this.#until - Date.now()) / 1000);
    one("state-words").replaceChildren(h("span", {}, this.words), seconds > 0 ? ` · again in ${seconds} s` : "");
  }

  #tick() {
    if (this.#until) this.#draw();
    if (!this.#arrived || Date.now() - this.#said < SAY_MS || document.hidden) return;
    this.say(this.#arrived === 1 ? "1 new event" : `${this.#arrived} new events`);
    this.#arrived = 0;
  }
}
