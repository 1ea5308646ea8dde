// The page: its parts, and who tells whom.

import { EVERYTHING, filtered, query, read } from "./address.js";
import { Chart } from "./chart.js";
import { Counts } from "./counts.js";
import { Detail } from "./detail.js";
import { ask } from "./door.js";
import { one } from "./dom.js";
import { Filters } from "./filters.js";
import { listen } from "./keys.js";
import { Legend } from "./legend.js";
import { List } from "./list.js";
import { Notice } from "./notice.js";
import { Sources } from "./sources.js";
import { Status } from "./status.js";
import { Timeline } from "./timeline.js";
import { forget, token } from "./token.js";

let view = read(location.search);
let counts = null;
let loaded = false;

const status = new Status();
const notice = new Notice();
const sources = new Sources(one("sources-list"), { toggled: toggleSource });
const filters = new Filters({ changed: (change, { typing = false } = {}) => go(change, { typing }) });
const legend = new Legend({ picked: (name) => (view.by === "source" ? toggleSource(name) : toggleAction(name)) });
const chart = new Chart(one("plot"), {
  brushed: ({ since, until }) => go({ since: iso(since), until: iso(until) }),
  hovered: (place) => legend.hover(place, place === null ? "" : chart.words(place)),
});
const timeline = new Timeline({
  loading: () => ((loaded = false), list.redraw(), notice.hide(), status.show("connecting", "Connecting")),
  loaded: onLoaded,
  arrived: onArrived,
  held: () => showLive(),
  older: onOlder,
  live: () => showLive(),
  away: (problem, ms) => onAway(problem, ms),
  refused: onRefused,
});
const list = new List(one("list"), timeline.log, {
  chosen: (event) => detail.event && open(event),
  opened: (event) => open(event),
  bottom: () => timeline.more(),
  moved: showUnseen,
});
const detail = new Detail(one("detail"), { closed: () => (address({ event: "" }), one("list").focus()), narrow });

// What is looked at.

/** Another view. While it is typed in, it takes the place of the last one in the history. */
function go(change, { typing = false } = {}) {
  const next = { ...view, ...change };
  if (query(next) === query(view)) return filters.show(view);
  const onlyColours = query({ ...next, by: view.by }) === query(view);
  view = next;
  history[typing ? "replaceState" : "pushState"](null, "", query(view));
  show({ onlyColours });
}

function address(change) {
  view = { ...view, ...change };
  try {
    history.replaceState(null, "", query(view));
  } catch {
    // Some browsers refuse it where a key is held down; the next change brings the URL up to date.
  }
}

function show({ onlyColours = false } = {}) {
  filters.show(view);
  sources.select(view.sources);
  for (const by of one("by").children) by.setAttribute("aria-pressed", String(by.dataset.by === view.by));
  counts?.stop();
  counts = new Counts(view, () => one("plot").clientWidth, () => sources.first, { counted: onCounted });
  if (onlyColours) return;
  list.toTop();
  timeline.open(view);
}

/** Everything anew: at the start, and with another token. */
async function start() {
  notice.hide();
  one("forget").hidden = !token();
  await sources.follow(); // first, so that every source has its colour
  show();
}

function toggleSource(name) {
  const chosen = view.sources.includes(name);
  go({ sources: chosen ? view.sources.filter((other) => other !== name) : [...view.sources, name] });
}

function toggleAction(name) {
  go({ action: view.action === name ? "" : name });
}

function narrow(field, value) {
  go(field === "source" ? { sources: [value] } : { [field]: value });
}

function toNow() {
  timeline.arrivals.paused = false;
  showLive();
  list.toTop();
  if (view.until) go({ since: EVERYTHING.since, until: "" });
}

// What happens.

function onLoaded() {
  loaded = true;
  list.redraw();
  notice.hide();
  filters.suggest(events());
  if (/^\d{1,16}$/.test(view.event)) openLinked();
  noteEmpty();
}

function onArrived(arrived, count) {
  const real = arrived.filter((event) => !event.gap);
  notice.hide();
  list.arrived(count);
  sources.saw(real);
  counts.add(real);
  filters.suggest(real);
  status.arrived(count);
  showLive();
  showUnseen();
}

function onOlder({ more, searching }) {
  list.draw();
  const full = timeline.log.full ? "No more than these are held here: narrow the filters to see older ones." : "";
  one("list-foot").textContent = searching ? "Looking for older events…" : full;
  if (!more && !searching) noteEmpty();
}

async function noteEmpty() {
  if (!loaded || timeline.log.size || timeline.looking) return;
  const asked = view;
  const last = await timeline.newest().catch(() => null);
  if (asked !== view || timeline.log.size) return;
  if (!last) notice.nothingYet();
  else notice.noneOfThese(view, last, { clear: () => filters.clear(), all: () => go({ since: "all", until: "" }) });
}

function onCounted(counted) {
  chart.show(counted);
  legend.show(counted, view);
}

function onAway(problem, ms) {
  const words = problem.status === 0 ? "Reconnecting" : `Reconnecting: ${problem.message}`;
  status.show("away", words, Date.now() + ms);
  if (!timeline.log.size && !loaded) notice.failed(problem);
}

function onRefused(problem) {
  status.show("refused", problem.status === 401 ? "A token is needed" : "Refused");
  if (problem.status !== 401) return notice.failed(problem);
  sources.stop();
  counts?.stop();
  ask(start);
}

// The open event.

function open(event) {
  if (event.gap) return timeline.fill(event).then(() => list.redraw());
  detail.show(event);
  address({ event: String(event.seq) });
}

/** The event that the URL names: chosen where it is in the list, else asked for. */
async function openLinked() {
  const place = timeline.log.placeOf(Number(view.event));
  if (place >= 0) {
    list.choose(place);
    return detail.show(timeline.log.at(place));
  }
  const found = await timeline.event(view.event).catch(() => null);
  if (found) detail.show(found);
  else status.say("The event of this link is not kept any longer");
}

// What is shown of it.

function showLive() {
  const { paused, waiting } = timeline.arrivals;
  one("pause").setAttribute("aria-pressed", String(paused));
  one("pause").textContent = paused ? "Go on" : "Pause";
  if (["away", "refused"].includes(one("state").dataset.kind) && !timeline.connected) return;
  if (paused) status.show("paused", waiting ? `Paused · ${waiting.toLocaleString()} waiting` : "Paused");
  else status.show("live", view.until ? "Connected · a fixed time" : "Live");
}

function showUnseen() {
  one("arrived").hidden = !list.unseen;
  one("arrived").textContent = `↑ ${list.unseen.toLocaleString()} new`;
}

function pause() {
  timeline.arrivals.paused = !timeline.arrivals.paused;
  showLive();
}

const events = () => Array.from({ length: Math.min(timeline.log.size, 500) }, (_, place) => timeline.log.at(place));
const iso = (ms) => new Date(ms).toISOString();

function redrawColours() {
  chart.redraw();
}

function nextTheme() {
  status.say(`Theme: ${globalThis.nextTheme()}`);
  redrawColours();
}

function zoomOut() {
  const window = counts.window;
  if (!window) return;
  const half = (window.until - window.since) / 2;
  const until = Math.min(window.until + half, Date.now());
  go({ since: iso(window.since - half), until: view.until && until < Date.now() ? iso(until) : "" });
}

function escape() {
  if (detail.event) detail.close();
  else if (document.activeElement !== document.body && document.activeElement !== one("list")) one("list").focus();
  else list.unchoose();
}

for (const by of one("by").children) by.addEventListener("click", () => go({ by: by.dataset.by }));
one("pause").addEventListener("click", pause);
one("now").addEventListener("click", toNow);
one("arrived").addEventListener("click", () => list.toTop());
one("theme").addEventListener("click", nextTheme);
one("help").addEventListener("click", () => one("keys").showModal());
one("retry").addEventListener("click", () => timeline.hurry());
one("zoom-out").addEventListener("click", zoomOut);
one("forget").addEventListener("click", () => (forget(), timeline.close(), location.reload()));
addEventListener("online", () => timeline.hurry());
addEventListener("popstate", () => ((view = read(location.search)), show()));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawColours);
matchMedia("(max-width: 720px)").addEventListener("change", () => list.draw());

listen({
  "/": () => (one("q").focus(), one("q").select()),
  j: () => list.step(1),
  k: () => list.step(-1),
  ArrowDown: () => document.activeElement === one("list") && list.step(1),
  ArrowUp: () => document.activeElement === one("list") && list.step(-1),
  Enter: () => {
    const event = timeline.log.at(timeline.log.placeOf(list.chosen));
    return event ? open(event) : false;
  },
  Escape: escape,
  " ": pause,
  g: toNow,
  c: () => detail.copy(),
  t: nextTheme,
  "?": () => (one("keys").open ? one("keys").close() : one("keys").showModal()),
});

start();
