// The legend of the chart: each series with its count, in all or where the pointer is. A click looks at it alone.

import { button, h, one } from "./dom.js";

export class Legend {
  #counted = null;
  #place = null;

  /** `on.picked(name)`: of a source or an action. */
  constructor(on) {
    this.on = on;
  }

  /** `counted` as buckets.js folds it. */
  show(counted, view) {
    const names = JSON.stringify([view.by, view.sources, view.action, counted.lines.map((line) => line.name)]);
    this.#counted = counted;
    if (names !== this.names) this.#make(counted, view);
    this.names = names;
    this.#figures();
  }

  /** The bucket that the pointer is on, and when it is; null: all of them. */
  hover(place, words) {
    this.#place = place;
    this.words = words;
    if (this.#counted) this.#figures();
  }

  #make({ lines }, view) {
    const pressed = (name) => (view.by === "source" ? view.sources.includes(name) : view.action === name);
    this.counts = lines.map(() => h("span", { class: "count" }));
    const items = lines.map((line, i) => {
      const inside = [h("i", { class: `dot hue-${line.hue}` }), h("span", { class: "name" }, line.name ?? line.words), this.counts[i]];
      if (line.name === null) return h("li", {}, h("span", { class: "others" }, ...inside));
      const by = button("", () => this.on.picked(line.name), { "aria-pressed": String(pressed(line.name)) });
      by.append(...inside);
      return h("li", {}, by);
    });
    one("legend").replaceChildren(...items);
  }

  #figures() {
    const { lines } = this.#counted;
    const place = this.#place;
    const counts = lines.map((line) => (place === null ? line.total : (line.counts[place] ?? 0)));
    counts.forEach((count, i) => (this.counts[i].textContent = count.toLocaleString()));
    const total = counts.reduce((sum, count) => sum + count, 0);
    one("chart-words").textContent = `${total.toLocaleString()} ${place === null ? "in all" : `· ${this.words}`}`;
  }
}
