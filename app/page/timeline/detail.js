// The event that is open: all its fields, its data to be read and copied.

import { inFull, inUtc } from "./clock.js";
import { copyBy } from "./copy.js";
import { button, h } from "./dom.js";
import { hue } from "./palette.js";
import { coloured, pretty } from "./pretty.js";
import { tone } from "./tone.js";

export class Detail {
  #event = null;

  /** `on`: closed(), narrow(field, value). */
  constructor(element, on) {
    this.element = element;
    this.on = on;
  }

  get event() {
    return this.#event;
  }

  show(event) {
    if (this.#event?.seq === event.seq) return;
    this.#event = event;
    this.element.replaceChildren(this.#head(event), this.#fields(event), ...this.#data(event));
    this.element.hidden = false;
    this.element.scrollTop = 0;
    document.body.classList.add("open");
  }

  close() {
    if (!this.#event) return;
    this.#event = null;
    this.element.hidden = true;
    this.element.replaceChildren();
    document.body.classList.remove("open");
    this.on.closed();
  }

  copy() {
    this.element.querySelector("#copy-event")?.click();
  }

  #head(event) {
    const { bytes, ...whole } = event;
    return h(
      "header",
      {},
      h("h2", { "data-tone": tone(event.action) }, event.action),
      button("Copy event", ({ target }) => copyBy(target, pretty(whole)), { id: "copy-event", title: "As JSON (c)" }),
      button("Copy link", ({ target }) => copyBy(target, location.href)),
      button("×", () => this.close(), { class: "close", "aria-label": "Close", title: "Close (esc)" }),
    );
  }

  #fields(event) {
    const filters = [["source", event.source], ["action", event.action], ["subject", event.subject]];
    return h(
      "dl",
      {},
      ...this.#time("time", event.time),
      ...(event.received_at === event.time ? [] : this.#time("received", event.received_at)),
      ...filters.filter(([, value]) => value !== null).flatMap(([name, value]) => this.#narrowing(name, value)),
      ...field("id", h("code", {}, event.id)),
      ...field("seq", h("a", { href: `events/${event.seq}`, title: "The event alone" }, h("code", {}, String(event.seq)))),
    );
  }

  #time(name, text) {
    const utc = inUtc(text);
    return field(name, h("time", { datetime: text, title: utc }, inFull(new Date(text))), h("span", { class: "dim" }, utc));
  }

  #narrowing(name, value) {
    const dot = name === "source" ? h("i", { class: `dot hue-${hue(value)}` }) : null;
    const only = () => this.on.narrow(name, value);
    return field(name, dot, h("span", {}, value), button("only this", only, { class: "link", "aria-label": `Only this ${name}` }));
  }

  #data(event) {
    const text = pretty(event.data);
    const by = button("Copy data", ({ target }) => copyBy(target, text));
    return [
      h("div", { class: "head" }, h("h3", {}, "data"), by),
      h("pre", { tabindex: "0", "aria-label": "data" }, h("code", {}, ...coloured(text))),
    ];
  }
}

const field = (name, ...values) => [h("dt", {}, name), h("dd", {}, ...values)];
