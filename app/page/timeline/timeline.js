// The events that are looked at: a page of the newest, those before it as one scrolls, and what arrives.

import { filter } from "./address.js";
import { event, page } from "./api.js";
import { Arrivals } from "./arrivals.js";
import { Follow } from "./follow.js";
import { Log } from "./log.js";

const FIRST_PAGE = 200;
const NEXT_PAGE = 500;

export class Timeline {
  log = new Log();
  #older = null; // the cursor of the page before the oldest; null: there is none
  #asking = false;
  #loaded = false;
  #follow = null;
  #stop = new AbortController();
  connected = false;

  /**
   * `on`: loading(), loaded(empty), arrived(events, count), held(count), older({more, searching}), live(),
   * away(problem, ms), refused(problem).
   */
  constructor(on) {
    this.on = on;
    this.arrivals = new Arrivals((events) => this.#arrive(events), on.held);
  }

  /** Look at this. */
  open(view) {
    this.close();
    this.#stop = new AbortController();
    this.view = view;
    this.#loaded = false;
    this.log.clear();
    this.arrivals.clear();
    this.on.loading();
    this.#follow = new Follow(filter(view), {
      opened: (cursor) => this.#load(cursor),
      reopened: () => this.#live(),
      event: (arrived) => this.arrivals.add(arrived),
      gap: (gap) => this.arrivals.add({ seq: gap.through, gap, bytes: 0 }),
      away: (problem, ms) => this.#away(problem, ms),
      refused: (problem) => ((this.connected = false), this.on.refused(problem)),
    });
  }

  /** Whether older events may yet be found. */
  get looking() {
    return this.#older !== null;
  }

  close() {
    this.connected = false;
    this.#stop.abort();
    this.#follow?.stop();
  }

  hurry() {
    this.#follow?.hurry();
  }

  /** The newest event of all, whatever the filter; null: the log is empty. */
  async newest() {
    const { events } = await page([["limit", "1"]], { signal: this.#stop.signal });
    return events[0] ?? null;
  }

  /** The event with this number, in the filter or not. Raises Problem. */
  event(seq) {
    return event(seq, { signal: this.#stop.signal });
  }

  /** One page more, if there is one and room for it. */
  async more() {
    if (this.#asking || this.#older === null || this.log.full) return;
    await this.#ask(async (signal) => {
      const { events, next } = await page(this.#query(NEXT_PAGE, this.#older), { signal });
      this.#older = next === this.#older && !events.length ? null : next;
      this.log.addOlder(events);
    });
  }

  /** Load what a gap has left out, as far as a page goes. */
  async fill({ seq, gap }) {
    await this.#ask(async (signal) => {
      const asked = [...this.#query(NEXT_PAGE, gap.after), ["order", "asc"]];
      const { events, next } = await page(asked, { signal });
      const left = next !== null && Number(next) < gap.through && events.length;
      const rest = left ? [{ seq, gap: { ...gap, after: Number(next) }, bytes: 0 }] : [];
      this.log.replace(seq, [...events.filter((event) => event.seq <= gap.through), ...rest]);
    });
  }

  #query(limit, cursor) {
    return [...filter(this.view), ["limit", limit], ...(cursor === undefined ? [] : [["cursor", cursor]])];
  }

  /** What came before the stream began; the stream brings what came after. */
  async #load(cursor) {
    const { signal } = this.#stop;
    try {
      const { events, next } = await page(this.#query(FIRST_PAGE), { signal });
      if (signal.aborted) return;
      this.log.clear();
      this.log.addOlder(cursor === undefined ? events : events.filter((event) => event.seq <= Number(cursor)));
      this.#older = next;
      this.#loaded = true;
      this.on.loaded();
      if (cursor !== undefined) this.#live();
    } catch (problem) {
      if (signal.aborted) return;
      this.on.away(problem, 0);
      setTimeout(() => signal.aborted || this.open(this.view), (problem.wait ?? 2) * 1000);
    }
  }

  async #ask(asking) {
    const { signal } = this.#stop;
    this.#asking = true;
    this.on.older({ more: true, searching: true });
    try {
      await asking(signal);
    } catch (problem) {
      if (problem.status === 410) this.#older = null; // retention has dropped what was before
    } finally {
      this.#asking = false;
      if (!signal.aborted) this.on.older({ more: this.#older !== null, searching: false });
    }
  }

  #arrive(events) {
    if (!this.#loaded) return events.forEach((event) => this.arrivals.add(event));
    const { added, trimmed } = this.log.arrive(events);
    if (trimmed) this.#older = String(this.log.oldest.seq);
    if (added) this.on.arrived(events.slice(-added), added);
  }

  #live() {
    this.connected = true;
    this.on.live();
  }

  #away(problem, ms) {
    this.connected = false;
    if (!this.#loaded && problem.status === 503) this.#load(); // no room for a stream is no reason to show nothing
    this.on.away(problem, ms);
  }
}
