// Gauges and bar charts: SVG whose attributes follow the values.

import { clamp, parts, setAttribute, setHidden, setText, tall } from "./dom.js";
import { level } from "./format.js";

const ROOM = 40;

// One card: arc, number, word, detail; the dashed track says "not reported".
export function paintGauge(card, gauge) {
  const cells = parts(card);
  setAttribute(card, "data-level", gauge.level);
  const svg = card.querySelector("svg.gauge");
  const arc = svg.querySelector(".arc");
  svg.classList.toggle("open", gauge.fill === null);
  setAttribute(arc, "visibility", gauge.fill === null ? "hidden" : "visible");
  setAttribute(arc, "stroke-dasharray", `${clamp(gauge.fill ?? 0).toFixed(1)} 200`);
  setAttribute(svg, "aria-label", `${card.querySelector("h2").textContent.trim()}: ${gauge.text} ${cells.unit.textContent}`);
  setText(cells.text, gauge.text);
  setText(cells.word, gauge.word);
  setHidden(cells.word, !gauge.word);
  setHidden(cells.why, gauge.level !== "none");
  setText(cells.detail, gauge.detail);
}

// Sixty upright bars, the newest reading rightmost; a gap is no bar.
export function paintBars(svg, readings, text) {
  const bars = svg.children;
  const first = bars.length - readings.length;
  for (let place = 0; place < bars.length; place += 1) {
    const value = place < first ? null : readings[place - first];
    const height = tall(value, ROOM);
    setAttribute(bars[place], "class", level(value));
    setAttribute(bars[place], "y", (ROOM - height).toFixed(2));
    setAttribute(bars[place], "height", height.toFixed(2));
  }
  setAttribute(svg, "aria-label", text);
}
