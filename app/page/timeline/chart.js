// The chart: uPlot's bars, one on the other, and a brush for mouse, pen and finger.

import { stacked } from "./buckets.js";
import { clock, range } from "./clock.js";
import { colour } from "./palette.js";

const HEIGHT = 112;
const LEAST_BRUSH = 5; // pixels; less is a click

export class Chart {
  #plot = null;
  #shape = "";
  #counts = null;

  /** `on`: brushed({since, until} in ms), hovered(place of a bucket, or null). */
  constructor(element, on) {
    this.element = element;
    this.on = on;
    new ResizeObserver(() => this.#plot?.setSize({ width: element.clientWidth, height: HEIGHT })).observe(element);
  }

  /** `counts` as buckets.js folds them. */
  show(counts) {
    this.#counts = counts;
    const { times, lines } = counts;
    const data = [times, ...stacked(lines, times.length)];
    const shape = JSON.stringify([lines.map((line) => line.hue), counts.step]);
    if (this.#plot && shape === this.#shape) return this.#plot.setData(data);
    this.#shape = shape;
    this.redraw(data);
  }

  /** Anew: the series or the colours are others. */
  redraw(data = this.#plot?.data) {
    if (!data) return;
    this.#plot?.destroy();
    this.#plot = new globalThis.uPlot(this.#options(), data, this.element);
    this.#brush(this.#plot);
  }

  #options() {
    const ink = { stroke: colour("--dim"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false } };
    const font = "11px system-ui, sans-serif";
    return {
      width: this.element.clientWidth,
      height: HEIGHT,
      padding: [6, 20, 0, 0],
      legend: { show: false },
      scales: { x: { range: () => this.#span() }, y: { range: (_, __, most) => [0, Math.max(4, most * 1.08)] } },
      cursor: { y: false, points: { show: false }, drag: { x: false, y: false, setScale: false } },
      axes: [
        { ...ink, font, grid: { show: false }, size: 22, gap: 4, space: 70, values: (_, splits, __, ___, incr) => splits.map((at) => label(at, incr)) },
        { ...ink, font, size: 44, gap: 4, space: 28, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 1e6, 1e7], values: (_, splits) => splits.map(compact) },
      ],
      series: [{}, ...this.#counts.lines.map((_, i, lines) => bars(lines[lines.length - 1 - i]))],
      hooks: { setCursor: [({ cursor }) => this.on.hovered(cursor.idx ?? null)] },
    };
  }

  #span() {
    const { since, step, times } = this.#counts;
    return [since, since + step * Math.max(1, times.length)];
  }

  #brush(plot) {
    const { over } = plot;
    let from = null;
    const at = (event) => Math.max(0, Math.min(over.clientWidth, event.clientX - over.getBoundingClientRect().left));
    const box = (event) => ({ left: Math.min(from, at(event)), width: Math.abs(at(event) - from) });
    const show = ({ left, width }) => plot.setSelect({ left, width, top: 0, height: width && over.clientHeight }, false);
    over.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      from = at(event);
      over.setPointerCapture(event.pointerId);
    });
    over.addEventListener("pointermove", (event) => from !== null && show(box(event)));
    over.addEventListener("pointercancel", () => show({ left: (from = null) ?? 0, width: 0 }));
    over.addEventListener("pointerup", (event) => {
      if (from === null) return;
      const { left, width } = box(event);
      from = null;
      show({ left: 0, width: 0 });
      if (width >= LEAST_BRUSH) this.#brushed(plot.posToVal(left, "x"), plot.posToVal(left + width, "x"));
    });
  }

  /** Whole buckets, since a bar cannot be divided. */
  #brushed(from, to) {
    const { since, step } = this.#counts;
    const edge = (value, round) => (since + round((value - since) / step) * step) * 1000;
    this.on.brushed({ since: edge(from, Math.floor), until: edge(to, Math.ceil) });
  }

  /** When the bucket is, in words. */
  words(place) {
    const { since, step } = this.#counts;
    return range((since + place * step) * 1000, (since + (place + 1) * step) * 1000);
  }
}

function bars(line) {
  const fill = colour(`--hue-${line.hue}`);
  return { fill, stroke: fill, width: 0, points: { show: false }, paths: globalThis.uPlot.paths.bars({ size: [0.86, 60], align: 0 }) };
}

const compact = (value) => (value >= 1e6 ? `${value / 1e6}M` : value >= 1e3 ? `${value / 1e3}k` : String(value));

function label(at, incr) {
  const date = new Date(at * 1000);
  if (incr >= 86_400 || (date.getHours() === 0 && date.getMinutes() === 0 && date.getSeconds() === 0)) {
    return date.toLocaleDateString(undefined, { month: "short", day: "numeric" });
  }
  return incr >= 60 ? clock(date, false).slice(0, 5) : clock(date, false);
}
