// JSON to be read: indented, with its kinds of words in colour. Text nodes and spans, never markup.

import { h } from "./dom.js";

const MOST_COLOURED = 60_000; // characters; what is longer is shown plainly, and at once
const TOKEN = /("(?:[^"\\]|\\.)*")(\s*:)?|-?\d[\d.eE+-]*|\b(?:true|false|null)\b/g;

export const pretty = (value) => JSON.stringify(value, null, 2);

export function coloured(text) {
  if (text.length > MOST_COLOURED) return [text];
  const parts = [];
  let end = 0;
  for (const found of text.matchAll(TOKEN)) {
    parts.push(text.slice(end, found.index), h("span", { class: kind(found) }, found[1] ?? found[0]), found[2] ?? "");
    end = found.index + found[0].length;
  }
  return [...parts, text.slice(end)];
}

function kind([token, string, colon]) {
  if (colon) return "json-key";
  if (string) return "json-text";
  return /[tfn]/.test(token[0]) ? "json-word" : "json-number";
}
