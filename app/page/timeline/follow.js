// The stream of events, followed for as long as it is wanted. By fetch, not EventSource, which cannot send a token:
// 1. What breaks off is resumed after the last event that came (Last-Event-ID), so that none is missed or shown twice.
// 2. Silence is a break: the collector says something every 15 seconds.
// 3. Attempts wait twice as long each time, up to half a minute, and as long as the collector asks for.

import { Problem, get } from "./api.js";
import { parse } from "./exact.js";
import { Frames } from "./frames.js";

const SILENCE_MS = 40_000;
const MOST_WAIT_MS = 30_000;
const FINAL = new Set([400, 401, 403, 404]); // another attempt would fare no better

export class Follow {
  #stop = new AbortController();
  #cursor = null;
  #retry = 1000; // ms, as the collector says it
  #failed = 0;
  #wake = () => {};

  /**
   * `query`: the filter. `on`: opened(cursor) at the first opening, reopened(), event(event), gap({after, through}),
   * away(problem, ms until the next attempt), refused(problem), after which nothing more is tried.
   */
  constructor(query, on) {
    this.query = query;
    this.on = on;
    this.#run();
  }

  stop() {
    this.#stop.abort();
    this.#wake();
  }

  /** Do not wait any longer. */
  hurry() {
    this.#wake();
  }

  async #run() {
    while (!this.#stop.signal.aborted) {
      const problem = await this.#once();
      if (this.#stop.signal.aborted) return;
      if (FINAL.has(problem.status)) return this.on.refused(problem);
      await this.#wait(problem);
    }
  }

  async #wait(problem) {
    const most = Math.min(this.#retry * 2 ** this.#failed, MOST_WAIT_MS);
    const ms = Math.max((problem.wait ?? 0) * 1000, most * (0.5 + Math.random() / 2));
    this.#failed += 1;
    this.on.away(problem, ms);
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => (clearTimeout(timer), resolve());
    });
  }

  /** One stream to its end. Gives the Problem that ended it. */
  async #once() {
    const broken = new AbortController();
    const silence = new Silence(() => broken.abort());
    const end = () => broken.abort();
    this.#stop.signal.addEventListener("abort", end);
    try {
      const headers = this.#cursor === null ? {} : { "Last-Event-ID": this.#cursor };
      const response = await get("events/stream", this.query, { headers, signal: broken.signal });
      await this.#read(response, () => silence.heard());
      return new Problem(0, "The stream ended.");
    } catch (error) {
      return error instanceof Problem ? error : new Problem(0, "The stream broke off.");
    } finally {
      silence.end();
      this.#stop.signal.removeEventListener("abort", end);
    }
  }

  async #read(response, heard) {
    const frames = new Frames((frame) => this.#frame(frame), (comment) => this.#comment(comment));
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done || this.#stop.signal.aborted) return;
      heard();
      frames.take(value);
    }
  }

  #comment(comment) {
    const from = /^from (\d+)$/.exec(comment);
    if (!from) return;
    this.#failed = 0;
    const first = this.#cursor === null;
    this.#cursor = from[1];
    if (first) this.on.opened(from[1]);
    else this.on.reopened();
  }

  #frame(frame) {
    if (frame.id !== undefined) this.#cursor = frame.id;
    if (frame.retry !== undefined) this.#retry = Number(frame.retry) || this.#retry;
    if (frame.event === "gap") this.on.gap(JSON.parse(frame.data));
    else if (frame.data) this.on.event({ ...parse(frame.data), bytes: frame.data.length });
  }
}

/** Calls `broken` once nothing was heard for too long. */
class Silence {
  constructor(broken) {
    this.broken = broken;
    this.heard();
  }

  heard() {
    clearTimeout(this.timer);
    this.timer = setTimeout(this.broken, SILENCE_MS);
  }

  end() {
    clearTimeout(this.timer);
  }
}
