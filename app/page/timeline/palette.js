// A colour for each name: of seven that colour-blind people tell apart (after Okabe and Ito), and grey for the rest.
// A name keeps its colour while the page is open.

export const HUES = 7;
export const OTHERS = HUES; // the place of grey

const places = { source: new Map(), action: new Map() };

/** The place of a name's colour, 0 to 7; the stylesheet knows the colour as --hue-0 to --hue-7. */
export function hue(name, kind = "source") {
  const known = places[kind];
  if (!known.has(name)) known.set(name, free(name, new Set(known.values())));
  return known.get(name);
}

/** Give the first of these, which matter most, colours of their own: each time the same, whoever matters more. */
export function reserve(names, kind = "source") {
  for (const name of names.slice(0, HUES).sort()) hue(name, kind);
}

/** What a colour of the stylesheet, such as --hue-0, is in the theme that is shown. */
export function colour(name) {
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

function free(name, taken) {
  const places = Array.from({ length: HUES }, (_, i) => (digest(name) + i) % HUES);
  return places.find((place) => !taken.has(place)) ?? OTHERS;
}

function digest(text) {
  let sum = 2166136261;
  for (const character of text) sum = Math.imul(sum ^ character.codePointAt(0), 16777619) >>> 0;
  return sum >>> 4;
}
