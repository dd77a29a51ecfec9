// The frames of the History section: a chart in each, its summary, its reading under the cross-hair,
// and the keyboard that moves it.

import { clockTexts, KEYS, makeChart } from "./chart.js";
import { parts, setAttribute, setHidden, setText } from "./dom.js";
import { stamp } from "./format.js";
import { hasValues, inUnit, summaryText, valueText } from "./series.js";

export function chartsOf(section, { onZoom, onReset }) {
  const frames = [...section.querySelectorAll("[data-chart]")].map(frameOf);
  const zone = document.body.dataset.zone;
  const xTexts = clockTexts(zone);
  let data = null;
  let place = null; // the point under the cross-hair, in all charts
  let turn = 0; // a later painting ends the ones before

  for (const frame of frames) frame.plot.addEventListener("keydown", (event) => press(event, frame));

  function press(event, frame) {
    if (event.key === "Escape") onReset();
    else if (event.key === "Enter") zoomAround();
    else if (event.key in KEYS) step(KEYS[event.key], frame);
    else return;
    event.preventDefault();
  }

  function step(by, frame) {
    if (!data) return;
    const last = data.times.length - 1;
    const wanted = Math.min(last, Math.max(0, (place ?? (by < 0 ? last + 1 : -1)) + by));
    frame.chart.point(wanted);
    reach(wanted);
  }

  // A quarter of the window, around the cursor.
  function zoomAround() {
    if (place === null) return;
    const [first, last] = [data.times[0], data.times.at(-1)];
    const half = (last - first) / 8;
    onZoom(data.times[place] - half, data.times[place] + half);
  }

  function reach(wanted) {
    if (wanted === place || !data) return;
    place = wanted;
    for (const frame of frames) paintValue(frame, data, place);
  }

  function make(frame) {
    frame.chart = makeChart(frame.plot, {
      lines: frame.lines, show: inUnit(frame.unit), ceiling: frame.ceiling, sync: "history", zone, xTexts, onZoom, onReset, onPoint: reach,
    });
    const moves = { onZoom, look: (from, to) => frames.forEach((one) => one.chart?.look(from, to)) };
    if (matchMedia("(any-pointer: coarse)").matches) import("./touch.js").then((touch) => touch.attach(frame.chart, moves));
  }

  // One frame after the other: the first ones can be read and used before the last is drawn.
  async function paint(columns, bounds, shown, marks) {
    const own = ++turn;
    data = columns;
    place = null;
    const spans = marks.map(inSeconds);
    for (const frame of visible(frames, shown)) {
      paintFrame(frame, bounds, spans);
      await new Promise((resolve) => { setTimeout(resolve); });
      if (turn !== own) return;
    }
  }

  function paintFrame(frame, [from, to], marks) {
    const found = frame.lines.map((line) => data.columns[line.metric]);
    const some = found.some(hasValues);
    setHidden(frame.plot, !some);
    setText(frame.cells.summary, summaryOf(frame, found));
    paintValue(frame, data, place);
    if (!some) return;
    if (!frame.chart) make(frame);
    frame.chart.set(data.times, found, from, to, marks);
  }

  return {
    paint,
    look: (from, to) => frames.forEach((frame) => frame.chart?.look(from, to)),
    resize: () => frames.forEach((frame) => frame.chart?.resize()),
    frames: (shown) => frames.filter((frame) => !shown || shown.has(frame.key)),
  };
}

function frameOf(figure) {
  const colors = getComputedStyle(figure);
  const lines = figure.dataset.lines.split(",").map((text, place) => {
    const [metric, label] = text.split(":");
    return { metric, label, stroke: colors.getPropertyValue(`--line-${place}`).trim() };
  });
  return {
    figure,
    lines,
    key: figure.dataset.chart,
    unit: figure.dataset.unit,
    ceiling: Number(figure.dataset.ceiling) || null,
    plot: figure.querySelector("[data-part=plot]"),
    cells: parts(figure),
    chart: null,
  };
}

function visible(frames, shown) {
  for (const frame of frames) setHidden(frame.figure, shown !== null && !shown.has(frame.key));
  return frames.filter((frame) => !frame.figure.hidden);
}

function summaryOf({ lines, unit }, found) {
  return lines.map((line, i) => summaryText(found[i], unit, line.label)).join(" · ");
}

// The reading under the cross-hair, else the last one; a slider's text is read out by itself.
function paintValue({ plot, cells, lines, unit }, data, place) {
  const last = data.times.length - 1;
  const texts = lines.map((line) => {
    const value = valueText(data.columns[line.metric], place ?? last, unit);
    return lines.length > 1 ? `${line.label} ${value}` : value;
  });
  const time = place === null ? "" : `${stamp(new Date(data.times[place] * 1000))} · `;
  setText(cells.value, place === null ? "" : time + texts.join(" · "));
  setAttribute(plot, "aria-valuemax", Math.max(0, last));
  setAttribute(plot, "aria-valuenow", place ?? Math.max(0, last));
  setAttribute(plot, "aria-valuetext", time + texts.join(", "));
}

function inSeconds({ start, end, tone }) {
  return { from: Date.parse(start) / 1000, to: end ? Date.parse(end) / 1000 : Infinity, tone };
}
