// The fields of the filter: they show a view, and say which one is wanted.

import { EVERYTHING, SPANS, filtered, span } from "./address.js";
import { localInput, range } from "./clock.js";
import { button, h, one } from "./dom.js";

const TYPING_MS = 300;
const MOST_ACTIONS = 200; // that are suggested

export class Filters {
  #view = EVERYTHING;
  #actions = new Set();

  /** `on.changed(change, {typing})`: a part of a view; `typing`: it is one of many to come. */
  constructor(on) {
    this.on = on;
    one("filters").addEventListener("submit", (event) => (event.preventDefault(), this.#typed()));
    one("q").addEventListener("input", () => this.#later());
    for (const name of ["source", "action", "subject"]) one(name).addEventListener("change", () => this.#typed());
    one("clear").addEventListener("click", () => this.clear());
    one("between-go").addEventListener("click", () => this.#between());
    one("between").addEventListener("toggle", () => one("between").open && this.#fillBetween());
    one("spans").append(...SPANS.map((name) => button(name, () => on.changed({ since: name, until: "" }), { "data-span": name })));
  }

  show(view) {
    this.#view = view;
    for (const name of ["q", "action", "subject"]) if (one(name) !== document.activeElement) one(name).value = view[name];
    for (const by of one("spans").children) {
      by.setAttribute("aria-pressed", String(!view.until && by.dataset.span === view.since));
    }
    one("chips").replaceChildren(...this.#chips(view));
    one("clear").hidden = !filtered(view);
  }

  clear() {
    const { sources, action, subject, q, data } = EVERYTHING;
    one("q").value = one("action").value = one("subject").value = one("source").value = "";
    this.on.changed({ sources, action, subject, q, data });
  }

  /** Suggest the actions of these. */
  suggest(events) {
    const before = this.#actions.size;
    for (const { action } of events) if (this.#actions.size < MOST_ACTIONS) this.#actions.add(action ?? "");
    if (this.#actions.size === before) return;
    one("action-names").replaceChildren(...[...this.#actions].sort().map((value) => h("option", { value })));
  }

  #later() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#typed(), TYPING_MS);
  }

  #typed() {
    clearTimeout(this.timer);
    const [q, action, subject, source] = ["q", "action", "subject", "source"].map((name) => one(name).value.trim());
    one("source").value = "";
    const sources = source && !this.#view.sources.includes(source) ? [...this.#view.sources, source] : this.#view.sources;
    const typing = document.activeElement === one("q");
    this.on.changed({ q, action, subject, sources }, { typing });
  }

  #chips(view) {
    const without = (list, gone) => list.filter((item) => item !== gone);
    const sources = view.sources.map((name) =>
      chip(`source ${name}`, () => this.on.changed({ sources: without(view.sources, name) })),
    );
    const data = view.data.map((pair) =>
      chip(pair.join(" = "), () => this.on.changed({ data: without(view.data, pair) })),
    );
    const { since, until } = span(view, Date.now());
    const live = { since: EVERYTHING.since, until: "" };
    const fixed = view.until || !SPANS.includes(view.since);
    return [...sources, ...data, ...(fixed ? [chip(range(since, until), () => this.on.changed(live))] : [])];
  }

  #fillBetween() {
    const { since, until } = span(this.#view, Date.now());
    one("from").value = localInput(since);
    one("to").value = localInput(until);
  }

  #between() {
    const [since, until] = [one("from"), one("to")].map((input) => (input.value ? new Date(input.value) : null));
    const wrong = !since || (until && until <= since);
    one("to").setCustomValidity(wrong ? "From has to be before to." : "");
    if (wrong) return one("to").reportValidity();
    one("between").open = false;
    this.on.changed({ since: since.toISOString(), until: until ? until.toISOString() : "" });
  }
}

function chip(words, remove) {
  return h("li", {}, h("span", {}, words), button("×", remove, { "aria-label": `Without ${words}` }));
}
