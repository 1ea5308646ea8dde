// The counts behind the chart: asked for now and then, and in between counted on as events arrive.
// What a look cost decides when the next one is due, so that a page that is open costs a large log little.

import { conditions, live, span } from "./address.js";
import { read } from "./api.js";
import { aligned, fold, stepFor } from "./buckets.js";

const LEAST_MS = 10_000; // between two looks
const COST = 20; // times as long as a look took until the next
const BAR_PIXELS = 11;

export class Counts {
  #stop = new AbortController();
  #next = 0;
  #stale = true;
  #asking = false;
  #window = null;
  #counts = null;

  /** `width()`: of the chart in pixels; `first()`: when the oldest event happened, in ms; `on.counted(counts)`. */
  constructor(view, width, first, on) {
    this.view = view;
    this.width = width;
    this.first = first;
    this.on = on;
    this.timer = setInterval(() => this.#look(), 1000);
    this.#look();
  }

  /** The time that is shown, in ms: {since, until}; null: not yet known. */
  get window() {
    return this.#window;
  }

  stop() {
    clearInterval(this.timer);
    this.#stop.abort();
  }

  /** These have arrived. */
  add(events) {
    this.#stale = true;
    if (!this.#counts) return;
    for (const event of events) this.#add(event);
    this.on.counted(this.#counts);
  }

  #add(event) {
    const { since, step, times, lines } = this.#counts;
    const place = Math.floor((Date.parse(event.time) / 1000 - since) / step);
    if (place < 0 || place >= times.length || event.source.startsWith("collector.probe/")) return;
    const name = event[this.view.by];
    const line = lines.find((one) => one.name === name) ?? lines.find((one) => one.name === null);
    if (!line) return;
    line.counts[place] += 1;
    line.total += 1;
  }

  async #look() {
    const now = Date.now();
    const moved = live(this.view) && this.#window !== null && now >= this.#window.until;
    if (this.#asking || document.hidden || now < this.#next || !(this.#stale || moved)) return;
    this.#asking = true;
    this.#stale = false;
    try {
      await this.#ask(now);
    } catch {
      this.#stale = true; // the stream says what is wrong
    } finally {
      this.#asking = false;
      this.#next = Date.now() + Math.max(LEAST_MS, COST * (Date.now() - now));
    }
  }

  async #ask(now) {
    const shown = span(this.view, now, this.first());
    const step = stepFor(shown.until - shown.since, Math.max(20, this.width() / BAR_PIXELS));
    const { since, until } = (this.#window = aligned(shown, step));
    const asked = [["by", this.view.by], ["step", `${step}s`], ["since", iso(since)], ["until", iso(until)]];
    const options = { signal: this.#stop.signal };
    const found = await read("events/stats", [...conditions(this.view), ...asked], options);
    this.#counts = fold(found, this.view.by);
    if (!this.#counts.times.length) this.#counts = { ...this.#counts, ...empty(this.#window) };
    this.on.counted(this.#counts);
  }
}

const iso = (ms) => new Date(ms).toISOString();

function empty({ since, until, step }) {
  const length = Math.round((until - since) / 1000 / step);
  return { times: Array.from({ length }, (_, i) => since / 1000 + (i + 0.5) * step), lines: [] };
}
