// The collector's API: what it refuses is a Problem, whatever the cause.

import { parse } from "./exact.js";
import { authorization } from "./token.js";

/** Why there is no answer. `status` 0: nothing answered. `wait`: seconds that the collector asks for, or null. */
export class Problem extends Error {
  constructor(status, detail, wait = null) {
    super(detail);
    this.status = status;
    this.wait = wait;
  }
}

const url = (path, query) => (query.length ? `${path}?${new URLSearchParams(query)}` : path);

/** The response, if it is a good one. Raises Problem. */
export async function get(path, query = [], { headers = {}, signal } = {}) {
  let response;
  try {
    const wanted = { headers: { ...authorization(), ...headers }, signal, cache: "no-store", credentials: "same-origin" };
    response = await fetch(url(path, query), wanted);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "Nothing answers at this address.");
  }
  if (!response.ok) throw await problemOf(response);
  return response;
}

async function problemOf(response) {
  const wait = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
  const said = await response.json().catch(() => ({}));
  const detail = said.detail ?? said.title ?? `The answer was ${response.status}.`;
  return new Problem(response.status, detail, Number.isNaN(wait) ? null : wait);
}

async function body(response) {
  try {
    return await response.text();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "The answer broke off.");
  }
}

/** A page of events, each with its size in `bytes`, and the query of the next one; null: there is none. */
export async function page(query, options) {
  const response = await get("events", query, options);
  const text = await body(response);
  const events = parse(text);
  const bytes = Math.ceil(text.length / Math.max(1, events.length));
  const link = /[?&]cursor=(\d+)/.exec(response.headers.get("Link") ?? "");
  return { events: events.map((event) => ({ ...event, bytes })), next: link ? link[1] : null };
}

/** The event with this number. */
export async function event(seq, options) {
  const text = await body(await get(`events/${encodeURIComponent(seq)}`, [], options));
  return { ...parse(text), bytes: text.length };
}

/** Sources and counts, whose numbers are our own. */
export async function read(path, query, options) {
  return JSON.parse(await body(await get(path, query, options)));
}
