// Times in words: in the viewer's zone, and in UTC where one asks for it.

const DAY_MS = 86_400_000;
const pad = (number, width = 2) => String(number).padStart(width, "0");
const day = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric" });
const long = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const zone = new Intl.DateTimeFormat(undefined, { timeZoneName: "short" });
const SIZES = [["d", 86_400], ["h", 3600], ["m", 60], ["s", 1]];

/** 14:03:22.418 */
export function clock(date, millis = true) {
  const time = `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
  return millis ? `${time}.${pad(date.getMilliseconds(), 3)}` : time;
}

/** The day in short, or "" for that of `now`. */
export function otherDay(date, now = Date.now()) {
  const today = Math.abs(now - date) < DAY_MS && new Date(now).getDate() === date.getDate();
  const year = new Date(now).getFullYear() === date.getFullYear() ? "" : ` ${date.getFullYear()}`;
  return today ? "" : day.format(date) + year;
}

export const inFull = (date) => `${long.format(date)} ${zoneOf(date)}`;
export const inUtc = (text) => `${text.replace("T", " ").replace(/Z$/, "")} UTC`;
const zoneOf = (date) => zone.formatToParts(date).find((part) => part.type === "timeZoneName").value;

/** 90 s as "1m"; never more than one unit. */
export function short(seconds) {
  const [unit, size] = SIZES.find(([, length]) => seconds >= length) ?? ["s", 1];
  return `${Math.floor(seconds / size)}${unit}`;
}

/** How long ago: "now", "12s", "3h". */
export function ago(time, now = Date.now()) {
  const seconds = (now - time) / 1000;
  return seconds < 1 ? "now" : short(seconds);
}

/** For an <input type="datetime-local">. */
export const localInput = (ms) => {
  const date = new Date(ms);
  const days = `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
  return `${days}T${clock(date, false)}`;
};

/** From when to when, in words. */
export function range(since, until) {
  const [from, to] = [new Date(since), new Date(until)];
  const ends = otherDay(to, from.getTime());
  return `${otherDay(from) || "today"} ${clock(from, false)} – ${ends ? `${ends} ` : ""}${clock(to, false)}`;
}
