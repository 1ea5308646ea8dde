// What is looked at, as the URL has it, so that a link shares it: an immutable view in, a query out.

export const SPANS = ["15m", "1h", "6h", "24h", "7d", "all"];
export const EVERYTHING = Object.freeze({
  sources: [],
  action: "",
  subject: "",
  q: "",
  since: "24h",
  until: "",
  by: "source",
  data: [],
  event: "",
});
const SINGLE = ["action", "subject", "q", "since", "until", "by", "event"];
const DAY_MS = 86_400_000;
const UNITS_MS = { s: 1000, m: 60_000, h: 3_600_000, d: DAY_MS, w: 7 * DAY_MS };

export function read(search) {
  const asked = new URLSearchParams(search);
  const single = SINGLE.filter((name) => asked.get(name)).map((name) => [name, asked.get(name)]);
  const data = [...asked].filter(([name, value]) => name.startsWith("data.") && value);
  const view = { ...EVERYTHING, ...Object.fromEntries(single), sources: asked.getAll("source").filter(Boolean), data };
  return view.by === "action" ? view : { ...view, by: "source" };
}

/** The page's own query; what is as it always is does not stand in it. */
export function query(view) {
  const asked = new URLSearchParams(conditions(view));
  for (const name of ["since", "until", "by", "event"]) {
    if (view[name] !== EVERYTHING[name]) asked.append(name, view[name]);
  }
  return asked.size ? `?${asked}` : location.pathname;
}

/** The conditions on an event but for its time, as the API takes them. */
export function conditions(view) {
  const single = ["action", "subject", "q"].filter((name) => view[name]).map((name) => [name, view[name]]);
  return [...view.sources.map((source) => ["source", source]), ...single, ...view.data];
}

/** All conditions, as the API takes them. */
export function filter(view) {
  const since = view.since === "all" ? [] : [["since", view.since]];
  return [...conditions(view), ...since, ...(view.until ? [["until", view.until]] : [])];
}

export const filtered = (view) => conditions(view).length > 0;
export const live = (view) => !view.until;

/** The time that is looked at, in milliseconds. `first`: when the oldest event happened. */
export function span(view, now, first) {
  const until = instant(view.until, now) ?? now;
  const since = view.since === "all" ? Math.min(first ?? until - DAY_MS, until - 60_000) : instant(view.since, now);
  return { since: since ?? until - DAY_MS, until };
}

function instant(text, now) {
  const ago = /^(\d{1,8})([smhdw])$/.exec(text);
  if (ago) return now - Number(ago[1]) * UNITS_MS[ago[2]];
  const time = Date.parse(text);
  return Number.isNaN(time) ? null : time;
}
