// Counts over time: how wide a bucket is, and which series there are. Pure.

import { OTHERS, hue, reserve } from "./palette.js";

const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400, 604_800];
const MOST_SERIES = 7;

/** The width of a bucket in seconds, of about `wanted` in so many milliseconds. */
export function stepFor(ms, wanted) {
  const exact = ms / 1000 / wanted;
  return STEPS.find((step) => step >= exact) ?? Math.ceil(exact / 604_800) * 604_800;
}

/** The span between the edges of buckets: a bar means the same after the next look. */
export function aligned({ since, until }, step) {
  const ms = step * 1000;
  return { since: Math.floor(since / ms) * ms, until: Math.max(Math.ceil(until / ms), Math.floor(since / ms) + 1) * ms, step };
}

/** The largest series by name, and the others as one: {times: seconds, lines: [{name, hue, total, counts}]}. */
export function fold({ since, step, series }, by) {
  const start = Date.parse(since) / 1000;
  const length = series[0]?.counts.length ?? 0;
  const shown = series.length === MOST_SERIES + 1 ? series.length : MOST_SERIES; // "1 other" would say less
  const [large, small] = [series.slice(0, shown), series.slice(shown)];
  reserve(large.map((one) => one[by]), by);
  const lines = large.map((one) => ({ name: one[by], hue: hue(one[by], by), total: one.total, counts: [...one.counts] }));
  if (small.length) lines.push(others(small, length));
  return { since: start, step, times: Array.from({ length }, (_, i) => start + (i + 0.5) * step), lines };
}

function others(small, length) {
  const counts = Array.from({ length }, (_, i) => small.reduce((sum, one) => sum + one.counts[i], 0));
  const total = small.reduce((sum, one) => sum + one.total, 0);
  return { name: null, words: `${small.length} others`, hue: OTHERS, total, counts };
}

/** Each line on top of those before it: what uPlot draws, the highest first. */
export function stacked(lines, length) {
  const sums = [];
  let below = new Array(length).fill(0);
  for (const line of lines) {
    below = below.map((sum, i) => sum + line.counts[i]);
    sums.push(below);
  }
  return sums.reverse();
}
