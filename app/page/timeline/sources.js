// The sources: when each was last seen, and how fast it sends. A click looks at one, or no longer.

import { read } from "./api.js";
import { ago } from "./clock.js";
import { button, h, one } from "./dom.js";
import { hue, reserve } from "./palette.js";

const LEAST_MS = 15_000;
const COST = 20; // times as long as asking took until the next time
const RATE_MINUTES = 5;
const MOST_SHOWN = 200;
const QUIET_MS = 3_600_000; // not heard of for this long: dim

export class Sources {
  #known = new Map(); // {name, seen: ms, first: ms, events, rate: a minute}
  #items = new Map();

  /** `on.toggled(name)`. */
  constructor(list, on) {
    this.list = list;
    this.on = on;
    this.selected = [];
    setInterval(() => this.#words(), 1000);
  }

  /** When the oldest event happened, in ms; undefined: there is none. */
  get first() {
    return this.#known.size ? Math.min(...[...this.#known.values()].map((source) => source.first)) : undefined;
  }

  get size() {
    return this.#known.size;
  }

  /** Ask, and from now on again and again. Gives nothing where the collector does not answer. */
  async follow() {
    const start = Date.now();
    if (!document.hidden) await this.#ask().catch(() => {});
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.follow(), Math.max(LEAST_MS, COST * (Date.now() - start)));
  }

  stop() {
    clearTimeout(this.timer);
  }

  /** These have arrived. */
  saw(events) {
    for (const event of events) {
      const known = this.#known.get(event.source);
      if (known) known.seen = Math.max(known.seen, Date.parse(event.time));
    }
  }

  select(names) {
    this.selected = names;
    this.#draw();
  }

  async #ask() {
    const lately = [["by", "source"], ["since", `${RATE_MINUTES}m`], ["step", `${RATE_MINUTES}m`]];
    const [found, counts] = await Promise.all([read("sources"), read("events/stats", lately)]);
    const rates = new Map(counts.series.map((one) => [one.source, one.total / RATE_MINUTES]));
    reserve([...found].sort((a, b) => b.events - a.events).map((one) => one.source));
    this.#known = new Map(found.map((one) => [one.source, summary(one, rates.get(one.source) ?? 0)]));
    this.#draw();
  }

  #draw() {
    const names = [...this.#known.keys()].sort((a, b) => a.localeCompare(b)).slice(0, MOST_SHOWN);
    const gone = new Set(this.#items.keys());
    for (const name of names) {
      gone.delete(name);
      if (!this.#items.has(name)) this.#items.set(name, this.#item(name));
    }
    for (const name of gone) this.#items.delete(name);
    this.list.replaceChildren(...names.map((name) => this.#items.get(name).element), ...this.#rest());
    one("sources-count").textContent = this.size || "";
    one("source-names").replaceChildren(...names.map((name) => h("option", { value: name })));
    this.#words();
  }

  #rest() {
    const more = this.size - MOST_SHOWN;
    return more > 0 ? [h("li", { class: "dim" }, `and ${more} more; the field Source finds them`)] : [];
  }

  #item(name) {
    const [seen, rate] = [h("span", { class: "seen" }), h("span", { class: "rate" })];
    const words = h("span", { class: "name" }, name);
    const by = button("", () => this.on.toggled(name), { title: name });
    by.append(h("i", { class: `dot hue-${hue(name)}` }), words, rate, seen);
    return { element: h("li", {}, by), button: by, seen, rate };
  }

  #words() {
    if (document.hidden) return;
    const now = Date.now();
    for (const [name, item] of this.#items) {
      const { seen, rate, events } = this.#known.get(name);
      const last = ago(seen, now);
      item.seen.textContent = last;
      item.rate.textContent = rate >= 0.1 ? `${figure(rate)}/min` : "";
      item.button.setAttribute("aria-pressed", String(this.selected.includes(name)));
      item.button.classList.toggle("quiet", now - seen > QUIET_MS);
      item.button.title = `${name}: ${events.toLocaleString()} events, last seen ${new Date(seen).toISOString()}`;
    }
  }
}

const summary = ({ first_seen, last_seen, events }, rate) => ({
  first: Date.parse(first_seen),
  seen: Date.parse(last_seen),
  events,
  rate,
});

const figure = (rate) => (rate >= 1000 ? `${(rate / 1000).toFixed(1)}k` : rate >= 10 ? rate.toFixed(0) : rate.toFixed(1));
