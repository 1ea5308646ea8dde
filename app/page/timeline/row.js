// A row of the list: an event, or a gap, on one line.

import { clock, inUtc, otherDay } from "./clock.js";
import { h } from "./dom.js";
import { words } from "./exact.js";
import { hue } from "./palette.js";
import { tone } from "./tone.js";

const MOST_PAIRS = 12;
const MOST_CHARACTERS = 240; // of data, more has no room

export function row(event) {
  return event.gap ? gapRow(event) : eventRow(event);
}

function eventRow(event) {
  const date = new Date(event.time);
  return h(
    "div",
    { class: "row", role: "option", id: `e${event.seq}`, "data-tone": tone(event.action) },
    h("time", { class: "when", datetime: event.time, title: inUtc(event.time) }, ...when(date)),
    h("span", { class: "who" }, h("i", { class: `dot hue-${hue(event.source)}` }), h("span", {}, event.source)),
    h("span", { class: "what" }, event.action),
    h("span", { class: "about" }, event.subject ?? ""),
    h("span", { class: "more" }, ...preview(event.data)),
  );
}

/** As wide for every day: the day takes the place of the milliseconds. */
function when(date) {
  const day = otherDay(date);
  return day ? [h("span", { class: "day" }, `${day} `), clock(date, false)] : [clock(date)];
}

function gapRow({ seq, gap }) {
  const title = `Positions ${gap.after} to ${gap.through}`;
  const text = "The page fell behind, and events are left out here. Enter or a click loads them.";
  return h("div", { class: "row gap", role: "option", id: `e${seq}`, title }, h("span", {}, text));
}

/** The top of the data, as far as a line has room. */
function preview(data) {
  if (data === null) return [];
  if (typeof data !== "object" || Array.isArray(data) || JSON.isRawJSON?.(data)) {
    return [words(data).slice(0, MOST_CHARACTERS)];
  }
  const parts = [];
  let length = 0;
  for (const [name, value] of Object.entries(data).slice(0, MOST_PAIRS)) {
    const text = words(value).slice(0, MOST_CHARACTERS);
    parts.push(h("span", { class: "key" }, `${name.slice(0, 60)} `), `${text}  `);
    length += name.length + text.length;
    if (length > MOST_CHARACTERS) break;
  }
  return parts;
}
