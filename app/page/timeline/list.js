// The list: of ten thousand events only the rows that are in view are on the page.
// 1. All rows are as high as --row says, so that a place is a multiplication.
// 2. Whoever is at the top follows what arrives; whoever has scrolled or chosen an event keeps their place.
// 3. The focus stays on the list, which names the chosen row (aria-activedescendant): rows come and go.

import { h } from "./dom.js";
import { row } from "./row.js";

const BEYOND = 8; // rows above and below what is in view

export class List {
  #rows = new Map(); // by number
  #height = 0;
  #chosen = null;
  #drawing = false;
  unseen = 0; // events that have arrived above

  /** `on`: chosen(event), opened(event), bottom(), moved(). */
  constructor(element, log, on) {
    this.element = element;
    this.log = log;
    this.on = on;
    this.canvas = h("div", { class: "canvas", role: "presentation" });
    element.append(this.canvas);
    element.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    element.addEventListener("click", (click) => this.#clicked(click));
    new ResizeObserver(() => this.draw()).observe(element);
  }

  get following() {
    return this.#chosen === null && this.element.scrollTop < 4;
  }

  get chosen() {
    return this.#chosen;
  }

  /** So many have arrived at the top. */
  arrived(count) {
    const follows = this.following;
    this.#measure();
    if (!follows) {
      this.unseen += count;
      this.element.scrollTop += count * this.#height;
    }
    this.draw();
  }

  /** Choose the event at this place, and bring it into view. */
  choose(place) {
    const event = this.log.at(place);
    if (!event) return;
    this.#choose(event);
    const top = place * this.#height;
    const { scrollTop, clientHeight } = this.element;
    if (top < scrollTop) this.element.scrollTop = top;
    else if (top + this.#height > scrollTop + clientHeight) this.element.scrollTop = top + this.#height - clientHeight;
    this.draw();
  }

  /** The next (1) or the previous (-1) of what is chosen; the first in view, where nothing is. */
  step(by) {
    const place = this.#chosen === null ? -1 : this.log.placeOf(this.#chosen);
    const first = Math.ceil(this.element.scrollTop / (this.#height || 1));
    this.choose(place < 0 ? first : Math.max(0, Math.min(this.log.size - 1, place + by)));
  }

  unchoose() {
    this.#chosen = null;
    this.element.removeAttribute("aria-activedescendant");
    this.draw();
    this.on.moved();
  }

  toTop() {
    this.unchoose();
    this.element.scrollTop = 0;
    this.unseen = 0;
    this.on.moved();
  }

  /** Draw in the next frame. */
  draw() {
    if (this.#drawing) return;
    this.#drawing = true;
    requestAnimationFrame(() => {
      this.#drawing = false;
      this.#draw();
    });
  }

  /** Forget the rows that are there: what they are made of has changed. */
  redraw() {
    this.#rows.clear();
    this.canvas.replaceChildren();
    this.draw();
  }

  #measure() {
    this.#height = Number.parseFloat(getComputedStyle(this.element).getPropertyValue("--row")) || 28;
    this.canvas.style.height = `${this.log.size * this.#height}px`;
  }

  #draw() {
    this.#measure();
    const { scrollTop, clientHeight } = this.element;
    const first = Math.max(0, Math.floor(scrollTop / this.#height) - BEYOND);
    const end = Math.min(this.log.size, Math.ceil((scrollTop + clientHeight) / this.#height) + BEYOND);
    const wanted = new Map();
    for (let place = first; place < end; place += 1) wanted.set(this.log.at(place).seq, place);
    for (const [seq, element] of this.#rows) {
      if (!wanted.has(seq)) {
        element.remove();
        this.#rows.delete(seq);
      }
    }
    for (const [seq, place] of wanted) this.#put(this.#rows.get(seq) ?? this.#make(seq, place), place, seq);
    if (end >= this.log.size - BEYOND) this.on.bottom();
  }

  #make(seq, place) {
    const element = row(this.log.at(place));
    this.#rows.set(seq, element);
    this.canvas.append(element);
    return element;
  }

  #put(element, place, seq) {
    element.style.transform = `translateY(${place * this.#height}px)`;
    element.ariaPosInSet = place + 1;
    element.ariaSetSize = this.log.size;
    element.ariaSelected = String(seq === this.#chosen);
    if (seq === this.#chosen) this.element.setAttribute("aria-activedescendant", element.id);
  }

  #choose(event) {
    this.#measure();
    this.#chosen = event.seq;
    this.on.chosen(event);
  }

  #clicked({ target }) {
    const element = target.closest(".row");
    const event = element && this.log.at(this.log.placeOf(Number(element.id.slice(1))));
    if (!event) return;
    this.#choose(event);
    this.draw();
    this.on.opened(event);
  }

  #scrolled() {
    if (this.element.scrollTop < 4) this.unseen = 0;
    this.draw();
    this.on.moved();
  }
}
