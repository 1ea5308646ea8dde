// The events that are here, by their number: at most so many, and of so many bytes; the oldest go first.

export const MOST_EVENTS = 10_000;
export const MOST_BYTES = 32 * 2 ** 20;

export class Log {
  #events = []; // the oldest first, so that what arrives goes to the end
  #bytes = 0;

  get size() {
    return this.#events.length;
  }

  get full() {
    return this.#events.length >= MOST_EVENTS || this.#bytes >= MOST_BYTES;
  }

  get newest() {
    return this.#events.at(-1);
  }

  get oldest() {
    return this.#events[0];
  }

  /** The event at this place, the newest being 0. */
  at(place) {
    return this.#events[this.#events.length - 1 - place];
  }

  /** The place of the event with this number; -1: it is not here. */
  placeOf(seq) {
    const index = this.#search(seq);
    return this.#events[index]?.seq === seq ? this.#events.length - 1 - index : -1;
  }

  clear() {
    this.#events = [];
    this.#bytes = 0;
  }

  /** Add what has arrived, oldest first. Gives how many were new, and whether old ones went for them. */
  arrive(events) {
    const last = this.newest?.seq ?? -1;
    const added = events.filter((event) => event.seq > last);
    this.#events = this.#events.concat(added);
    this.#bytes += bytesOf(added);
    return { added: added.length, trimmed: this.#trim() };
  }

  /** Add a page of older ones, newest first, as far as there is room. Gives how many there was room for. */
  addOlder(events) {
    const first = this.oldest?.seq ?? Infinity;
    let room = MOST_BYTES - this.#bytes;
    const older = events.filter((event) => event.seq < first);
    const fitting = older.filter((event, i) => i < MOST_EVENTS - this.size && (room -= event.bytes) >= 0);
    this.#events = fitting.reverse().concat(this.#events);
    this.#bytes += bytesOf(fitting);
    return fitting.length;
  }

  /** Put these, oldest first, in the place of the event with this number: a gap is filled. */
  replace(seq, events) {
    const index = this.#search(seq);
    const before = this.#events[index - 1]?.seq ?? -1;
    const between = events.filter((event) => event.seq > before && event.seq <= seq);
    this.#events.splice(index, 1, ...between);
    this.#bytes = bytesOf(this.#events);
    this.#trim();
  }

  #trim() {
    let extra = Math.max(0, this.size - MOST_EVENTS);
    let bytes = bytesOf(this.#events.slice(0, extra));
    while (this.#bytes - bytes > MOST_BYTES && extra < this.size - 1) bytes += this.#events[extra++].bytes;
    if (extra > 0) this.#events = this.#events.slice(extra);
    this.#bytes -= bytes;
    return extra > 0;
  }

  #search(seq) {
    let low = 0;
    let high = this.#events.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#events[middle].seq < seq) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

const bytesOf = (events) => events.reduce((sum, event) => sum + event.bytes, 0);
