// JSON as it was sent: a number that JavaScript would round is kept by its digits, where the browser can.

const canKeep = typeof JSON.rawJSON === "function";

export function parse(text) {
  return canKeep ? JSON.parse(text, keepDigits) : JSON.parse(text);
}

function keepDigits(_, value, { source } = {}) {
  return typeof value === "number" && source !== undefined && String(value) !== source ? JSON.rawJSON(source) : value;
}

/** What a value that `parse` gave reads like in a line: text without its quotes. */
export const words = (value) => (typeof value === "string" ? value : JSON.stringify(value));
