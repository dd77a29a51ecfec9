// The History section of a machine's page. The address says what is shown; every control changes
// the address, and the section follows it, so that reloading and going back do the same.

import { chartsOf } from "./history-charts.js";
import { load } from "./chart.js";
import { serverNow } from "./clock.js";
import { parts, rows, setAttribute, setHidden, setText } from "./dom.js";
import { stamp } from "./format.js";
import { columns, extended, isEmpty, resolutionText } from "./series.js";
import * as span from "./span.js";

const COARSE_REFRESH_SECONDS = 300;
const TABLE_POINTS = 100;
const TAIL = 3; // points that are read again, because a late row may still change them
const section = document.getElementById("history");
const cells = parts(section);
const part = (name) => section.querySelector(`[data-part=${name}]`);
const preferred = document.body.dataset.range;
const api = `/api/v1/connections/${section.dataset.id}/metrics`;
const charts = chartsOf(section, { onZoom: zoom, onReset: reset });

let state = span.read(location.search, preferred);
let data = null; // what the API last answered, as columns
let shownFor = ""; // the question that `data` answers
let marks = [];
let running = null; // the request under way
let readAt = 0;

section.addEventListener("click", clicked);
document.addEventListener("click", followGpu);
span.follow(follow);
new ResizeObserver(charts.resize).observe(section);
setInterval(() => document.hidden || refresh(), 1000);
follow();

function now() {
  return serverNow() / 1000;
}

function navigate(changes) {
  span.go(span.address(changes));
}

// The address has changed: controls and charts do what it says.
function follow() {
  const before = state;
  state = span.read(location.search, preferred);
  paintControls();
  if (before.gpu !== state.gpu && document.getElementById("metrics")) {
    window.htmx.ajax("GET", location.href, { target: "#metrics", select: "#metrics", swap: "outerHTML" });
  }
  charts.look(...span.bounds(state, now()));
  if (question() === shownFor) paint();
  else read();
}

function question() {
  return JSON.stringify([state.range, state.from, state.to, state.zoom, state.gpu, state.table]);
}

async function read() {
  running?.abort();
  const own = new AbortController();
  running = own;
  section.toggleAttribute("data-loading", true);
  const asked = question();
  try {
    const [found, marked] = await Promise.all([
      ask(span.query(state, now(), state.table ? TABLE_POINTS : undefined), own.signal),
      readMarks(own.signal),
      load(section.dataset.uplot),
    ]);
    if (running !== own) return;
    [data, marks, shownFor, readAt] = [found, marked, asked, now()];
    setHidden(part("error"), true);
    paint();
  } catch (error) {
    if (error.name !== "AbortError") tell(error);
  } finally {
    if (running === own) section.removeAttribute("data-loading");
  }
}

async function ask(query, signal) {
  const answer = await fetch(`${api}/history?${query}`, { signal });
  if (!answer.ok) throw new Error(String(answer.status));
  return columns(await answer.json());
}

async function readMarks(signal) {
  if (section.dataset.marks !== "yes") return [];
  const [start, end] = span.bounds(state, now()).map(span.text);
  const answer = await fetch(`${api}/marks?${new URLSearchParams({ start, end })}`, { signal });
  const found = answer.ok ? (await answer.json()).items : [];
  return found.filter((mark) => state.gpu === null || mark.gpu === null || String(mark.gpu) === state.gpu);
}

function tell(error) {
  const why = /^\d+$/.test(error.message) ? `the site answered ${error.message}` : "the site does not answer";
  setText(cells.error, `The history could not be read: ${why}.${data ? " The charts show what was read before." : ""}`);
  setHidden(part("error"), false);
}

// New points while the window ends now: raw ones as a tail, the others anew every few minutes.
async function refresh() {
  if (!data || !span.isLive(state) || state.table || section.hasAttribute("data-loading")) return;
  const isFine = data.tier === "raw" && data.times.length > TAIL;
  if (now() - readAt < (isFine ? data.resolution : COARSE_REFRESH_SECONDS)) return;
  readAt = now();
  if (!isFine) {
    read();
    return;
  }
  const asked = shownFor;
  const tail = await ask(tailQuery(), AbortSignal.timeout(15_000)).catch(() => null);
  if (!tail || asked !== shownFor || !span.isLive(state)) return;
  if (tail.resolution !== data.resolution) read();
  else {
    data = extended(data, tail, span.bounds(state, now())[0]);
    paint();
  }
}

// From some points back on, which may have been incomplete; a raw point is named by its end.
function tailQuery() {
  const { times, resolution } = data;
  const start = times.at(-TAIL - 1);
  const count = Math.max(TAIL, Math.floor((now() - start) / resolution));
  const asked = new URLSearchParams({ start: span.text(start), end: span.text(start + count * resolution), max_points: count });
  if (state.gpu !== null) asked.set("gpu", state.gpu);
  return asked;
}

function paint() {
  if (!data) return;
  const nothing = isEmpty(data);
  setHidden(part("empty"), !nothing);
  setHidden(part("charts"), nothing || state.table);
  setHidden(part("table"), nothing || !state.table);
  setText(cells.words, wordsOf(data));
  if (nothing) paintEmpty();
  else if (state.table) import("./history-table.js").then((table) => table.paint(part("table"), data, charts.frames(state.shown)));
  else charts.paint(data, span.bounds(state, now()), state.shown, marks);
  paintMarks();
}

function wordsOf({ resolution }) {
  const which = state.gpu !== null ? `GPU ${state.gpu}` : section.dataset.gpus > 1 ? "all GPUs: mean load, hottest, sum of power" : "";
  const live = span.isLive(state) ? "live" : "not live";
  return [span.name(state, stamp), resolutionText(resolution), which, live].filter(Boolean).join(" · ");
}

function paintEmpty() {
  const { since, newest } = section.dataset;
  const known = since ? `Collected since ${stamp(new Date(since))}; nothing in this window.` : "Nothing has been collected yet. The first point comes within half a minute after the first reading.";
  setText(cells.empty, known);
  setHidden(section.querySelector("[data-jump]"), !newest);
}

function paintControls() {
  for (const link of section.querySelectorAll("[data-set]")) {
    const changes = Object.fromEntries(new URLSearchParams(link.dataset.set));
    setAttribute(link, "href", span.address(changes));
    if (link.closest(".segments")) link.toggleAttribute("aria-current", false);
  }
  const current = state.range ? [`range=${state.range}&start=&end=&zoom=`] : [];
  for (const set of [...current, `gpu=${state.gpu ?? ""}`]) {
    section.querySelector(`.segments [data-set="${set}"]`)?.setAttribute("aria-current", "true");
  }
  for (const chip of section.querySelectorAll("[data-toggle]")) {
    setAttribute(chip, "aria-pressed", String(state.shown?.has(chip.dataset.toggle) ?? true));
  }
  setHidden(part("reset"), !state.zoom);
  setHidden(part("resume"), span.isLive(state));
  setHidden(part("table-on"), state.table);
  setHidden(part("table-off"), !state.table);
  setHidden(section.querySelector(".chips"), false);
}

function paintMarks() {
  setHidden(part("marks"), !marks.length);
  setText(cells.marks, `${marks.length} marked in this window`);
  rows(section.querySelector("[data-rows=marks]"), document.getElementById("mark-template"), marks, (cell, mark, row) => {
    setAttribute(row, "data-tone", mark.tone);
    setText(cell.label, mark.label);
    if (mark.link) setAttribute(cell.label, "href", mark.link);
    setText(cell.time, `${mark.kind}, ${stamp(new Date(mark.start))} – ${mark.end ? stamp(new Date(mark.end)) : "still"}`);
  });
}

function clicked(event) {
  const link = event.target.closest("[data-set]");
  const isPlain = !event.ctrlKey && !event.metaKey && !event.shiftKey && event.button === 0;
  if (link && isPlain) {
    event.preventDefault();
    navigate(Object.fromEntries(new URLSearchParams(link.dataset.set)));
  }
  const chip = event.target.closest("[data-toggle]");
  if (chip) toggle(chip.dataset.toggle);
  const move = event.target.closest("[data-move]");
  if (move) zoom(...span.moved(span.bounds(state, now()), Number(move.dataset.move), now()));
  if (event.target.closest("[data-retry]")) read();
  if (event.target.closest("[data-jump]")) jump();
}

// The selector above the gauges is the same choice.
function followGpu(event) {
  const link = event.target.closest("#metrics [data-gpu-choice]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  navigate({ gpu: link.dataset.gpuChoice });
}

function toggle(key) {
  const all = [...section.querySelectorAll("[data-toggle]")].map((chip) => chip.dataset.toggle);
  const shown = new Set(state.shown ?? all);
  if (!shown.delete(key)) shown.add(key);
  if (!shown.size) return;
  navigate({ show: shown.size === all.length ? "" : all.filter((one) => shown.has(one)).join(",") });
}

function zoom(from, to) {
  navigate({ zoom: span.roomy(from, to).map(span.text).join("/") });
}

function reset() {
  navigate({ zoom: "" });
}

function jump() {
  const end = Date.parse(section.dataset.newest) / 1000;
  const [from, to] = span.bounds(state, now());
  zoom(end - (to - from), end + 1);
}
