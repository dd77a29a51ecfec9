// A frame for each printed curve: its chart, its summary, its reading under the cross-hair, and the
// keyboard that moves it. Along times the cross-hair is the history's too.

import { clockTexts, KEYS, makeChart } from "./chart.js";
import { positive, short, summary } from "./curve-points.js";
import { parts, setAttribute, setHidden, setText } from "./dom.js";
import { number, stamp } from "./format.js";

const LOG = 3; // uPlot's name of the logarithmic scale
const STEPS = Array.from({ length: 16 }, (_, power) => [1, 2, 5].map((one) => one * 10 ** power)).flat();
const zone = document.body.dataset.zone;

export function curveCharts(holder, template, { onZoom, onReset }) {
  const frames = new Map(); // name → frame

  // `curves`: name → points; each drawn in the way of `look`, {axis, isLog, window}.
  function paint(curves, look) {
    for (const [name, frame] of frames) if (!curves.has(name)) remove(name, frame);
    let place = 0;
    for (const [name, points] of curves) {
      const frame = frames.get(name) ?? add(name);
      if (holder.children[place] !== frame.figure) holder.insertBefore(frame.figure, holder.children[place] ?? null);
      draw(frame, points, look, place);
      place += 1;
    }
  }

  function add(name) {
    const figure = template.content.firstElementChild.cloneNode(true);
    const frame = { name, figure, plot: figure.querySelector("[data-part=plot]"), cells: parts(figure), place: null, kind: "" };
    setText(frame.cells.name, name);
    frame.plot.addEventListener("keydown", (event) => press(event, frame));
    frames.set(name, frame);
    return frame;
  }

  function remove(name, { chart, figure }) {
    chart?.remove();
    figure.remove();
    frames.delete(name);
  }

  function draw(frame, points, look, place) {
    Object.assign(frame, { points, look });
    labelled(frame, place);
    setText(frame.cells.summary, summary(points, look));
    const values = look.isLog ? positive(points.values) : points.values;
    const isEmpty = !values.some((value) => value !== null);
    setHidden(frame.plot, isEmpty);
    if (!isEmpty) {
      make(frame, look, place);
      frame.chart.set(points.xs, [{ avg: values }], ...look.window);
    }
    tell(frame, frame.place !== null && frame.place < points.xs.length ? frame.place : null);
  }

  // A chart is made anew when something changes that it cannot change.
  function make(frame, { axis, isLog }, place) {
    const kind = `${axis} ${isLog} ${place}`;
    if (frame.kind === kind) return;
    frame.chart?.remove();
    Object.assign(frame, { kind, place: null });
    frame.chart = makeChart(frame.plot, {
      lines: [{ stroke: getComputedStyle(frame.figure).getPropertyValue("--curve").trim() }],
      show: (value) => (value === null ? "" : short(value)),
      hasBand: false,
      yScale: isLog ? { distr: LOG } : {},
      ...(axis === "step" ? { sync: "steps", xSteps: STEPS, xTexts: (splits) => splits.map((step) => number(step)) } : { sync: "history", zone, xTexts: clockTexts(zone) }),
      onZoom,
      onReset,
      onPoint: (point) => tell(frame, point),
    });
    const moves = { onZoom, look: (from, to) => frames.forEach((one) => one.chart?.look(from, to)) };
    if (matchMedia("(any-pointer: coarse)").matches) import("./touch.js").then((touch) => touch.attach(frame.chart, moves));
  }

  function press(event, frame) {
    if (event.key === "Escape") onReset();
    else if (event.key === "Enter") zoomAround(frame);
    else if (event.key in KEYS) step(frame, KEYS[event.key]);
    else return;
    event.preventDefault();
  }

  function step(frame, by) {
    const last = frame.points.xs.length - 1;
    const wanted = Math.min(last, Math.max(0, (frame.place ?? (by < 0 ? last + 1 : -1)) + by));
    frame.chart.point(wanted);
    tell(frame, wanted);
  }

  // A quarter of the window, around the cursor.
  function zoomAround({ place, points, look: { window: [from, to] } }) {
    if (place === null) return;
    onZoom(points.xs[place] - (to - from) / 8, points.xs[place] + (to - from) / 8);
  }

  return { paint, resize: () => frames.forEach(({ chart }) => chart?.resize()) };
}

function labelled({ figure, plot, cells }, place) {
  figure.className = `chart curve-${place}`;
  setAttribute(cells.name, "id", `curve-name-${place}`);
  setAttribute(cells.summary, "id", `curve-summary-${place}`);
  setAttribute(plot, "aria-labelledby", `curve-name-${place}`);
  setAttribute(plot, "aria-describedby", `curve-summary-${place}`);
}

// The reading under the cross-hair; a slider's text is read out by itself.
function tell(frame, place) {
  const { xs, values, steps, times } = frame.points;
  const last = Math.max(0, xs.length - 1);
  const words = (i) => [times[i] === null ? "" : stamp(new Date(times[i] * 1000)), `step ${number(steps[i])}`, values[i] === null ? "not finite" : short(values[i])].filter(Boolean).join(" · ");
  frame.place = place;
  setText(frame.cells.value, place === null ? "" : words(place));
  setAttribute(frame.plot, "aria-valuemax", last);
  setAttribute(frame.plot, "aria-valuenow", place ?? last);
  setAttribute(frame.plot, "aria-valuetext", xs.length ? words(place ?? last) : "no value yet");
}
