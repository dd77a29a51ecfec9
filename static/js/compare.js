// The Compare pages: the curves that the server computed, laid over each other from their starts on,
// by time or by step.

import { KEYS, load, makeChart } from "./chart.js";
import { parts, setAttribute, setText } from "./dom.js";
import { duration } from "./format.js";
import { inUnit } from "./series.js";

const DASHES = [undefined, [8, 4], [2, 3]];
const COLORS = 4; // then the same ones come again, dashed
const HOUR = 3600;
const STEPS = [60, 300, 600, 1800, HOUR, 2 * HOUR, 6 * HOUR, 12 * HOUR, 24 * HOUR, 48 * HOUR, 168 * HOUR, 720 * HOUR, 2160 * HOUR];
const curves = JSON.parse(document.getElementById("curves").textContent);
const whole = [0, Math.max(...curves.map((curve) => curve.length))];
const frames = [...document.querySelectorAll("[data-series]")].map(frameOf);

load(document.getElementById("charts-of").dataset.uplot).then(() => frames.forEach(draw));
new ResizeObserver(() => frames.forEach(({ chart }) => chart?.resize())).observe(document.getElementById("main"));

function frameOf(section) {
  const { series, unit, ceiling, axis } = section.dataset;
  return { series, unit, isBySteps: axis === "step", ceiling: Number(ceiling) || null, plot: section.querySelector("[data-part=plot]"), cells: parts(section), place: null };
}

function draw(frame) {
  const tables = curves.map(({ offsets, series }) => [offsets, series[frame.series]]);
  const [offsets, ...values] = tables.length > 1 ? window.uPlot.join(tables) : tables[0];
  frame.offsets = offsets;
  frame.chart = makeChart(frame.plot, {
    lines: curves.map((_, place) => ({ stroke: colorOf(place), dash: DASHES[Math.floor(place / COLORS) % DASHES.length] })),
    show: inUnit(frame.unit),
    ceiling: frame.ceiling,
    hasBand: false,
    yScale: frame.unit === "printed" ? {} : undefined, // from where the values begin
    sync: "compare",
    ...(frame.isBySteps ? { xTexts: (splits) => splits.map(showStep) } : { xSteps: STEPS, xTexts: (splits) => splits.map(sinceStart) }),
    onZoom: look,
    onReset: () => look(...whole),
    onPoint: (place) => tell(frame, place),
  });
  frame.chart.set(offsets, values.map((avg) => ({ avg })), ...whole);
  setAttribute(frame.plot, "aria-valuemax", offsets.length - 1);
  frame.plot.addEventListener("keydown", (event) => press(event, frame));
}

function sinceStart(seconds) {
  return seconds ? `+${duration(seconds).split(" ")[0]}` : "start";
}

function showStep(step) {
  return Number.isInteger(step) ? String(step) : "";
}

function look(from, to) {
  for (const { chart } of frames) chart.look(from, to);
}

function press(event, frame) {
  if (event.key === "Escape") look(...whole);
  else if (event.key in KEYS) step(frame, KEYS[event.key]);
  else return;
  event.preventDefault();
}

function step(frame, by) {
  const last = frame.offsets.length - 1;
  const place = Math.min(last, Math.max(0, (frame.place ?? (by < 0 ? last + 1 : -1)) + by));
  frame.chart.point(place);
  tell(frame, place);
}

// What each curve was at that time from its start on; the nearest of its own points counts.
function tell(frame, place) {
  frame.place = place;
  const text = place === null ? "" : wordsOf(frame, frame.offsets[place]);
  setText(frame.cells.value, text);
  setAttribute(frame.plot, "aria-valuenow", place ?? 0);
  setAttribute(frame.plot, "aria-valuetext", text || "no value yet");
}

function wordsOf({ series, unit, isBySteps }, offset) {
  const show = inUnit(unit);
  const texts = curves.map(({ offsets, series: all }, place) => `${place + 1}: ${show(all[series][nearest(offsets, offset)] ?? null)}`);
  return `${isBySteps ? `step ${offset}` : `+${duration(offset)}`} · ${texts.join(" · ")}`;
}

// -1 where the curve has ended, or has not begun.
function nearest(offsets, wanted) {
  const half = (offsets.at(-1) - offsets[0]) / Math.max(1, offsets.length - 1) / 2;
  if (!(wanted >= offsets[0] - half && wanted <= offsets.at(-1) + half)) return -1;
  let best = 0;
  offsets.forEach((offset, place) => {
    if (Math.abs(offset - wanted) < Math.abs(offsets[best] - wanted)) best = place;
  });
  return best;
}

function colorOf(place) {
  return getComputedStyle(document.querySelector(`.curve-${place}`)).getPropertyValue("--curve").trim();
}
