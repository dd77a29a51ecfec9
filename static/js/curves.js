// The curves of what a job has printed. The address says which are drawn, along what and in which
// window; along times it is the window of the history below. While the job runs they grow.

import { load } from "./chart.js";
import { serverNow } from "./clock.js";
import { curveCharts } from "./curve-charts.js";
import { points, reach, short } from "./curve-points.js";
import { parts, rows, setAttribute, setHidden, setText } from "./dom.js";
import { number } from "./format.js";
import * as span from "./span.js";

const POLL_MS = 10_000;
const POLLS_AFTER_END = 30; // the rest of the log may still be on its way
const COARSE = 1500; // points of a curve; zoomed in, all that are kept
const FINE = 5000;
const MOST = 8; // charts, with a colour each
const section = document.getElementById("curves");
const cells = parts(section);
const part = (name) => section.querySelector(`[data-part=${name}]`);
const charts = curveCharts(part("charts"), document.getElementById("curve-template"), { onZoom: zoom, onReset: reset });

let state = read();
let found = null; // what the API last answered
let shownFor = ""; // the question that `found` answers
let running = null; // the request under way
let polls = POLLS_AFTER_END;

section.addEventListener("click", clicked);
section.addEventListener("change", chosen);
part("filter").addEventListener("input", paintPicker);
span.follow(follow);
new ResizeObserver(charts.resize).observe(section);
setInterval(poll, POLL_MS);
ask();
below(document.getElementById("history"));

function now() {
  return serverNow() / 1000;
}

// {names | null: those that count most, axis, isLog, steps: [from, to] | null, isTable, shown}
function read() {
  const query = new URLSearchParams(location.search);
  const [from, to] = (query.get("steps") ?? "").split("/").map(Number);
  return {
    names: query.has("curve") ? query.getAll("curve").filter(Boolean).slice(0, MOST) : null,
    axis: query.get("axis") === "step" ? "step" : "time",
    isLog: query.get("scale") === "log",
    steps: from < to ? [from, to] : null,
    isTable: query.get("curves") === "table",
    shown: span.read(location.search, document.body.dataset.range),
  };
}

function follow() {
  state = read();
  if (question() === shownFor) paint();
  else ask();
}

function question() {
  const asked = new URLSearchParams({ max_points: zoomed() ? FINE : COARSE });
  for (const name of state.names ?? []) asked.append("name", name);
  if (state.names?.length === 0) asked.append("name", "");
  return asked.toString();
}

function zoomed() {
  return Boolean(state.axis === "step" ? state.steps : state.shown.zoom);
}

async function ask() {
  running?.abort();
  const own = new AbortController();
  running = own;
  section.toggleAttribute("data-loading", true);
  const asked = question();
  try {
    const answer = await fetch(`/api/v1/jobs/${section.dataset.job}/scalars?${asked}`, { signal: own.signal });
    if (!answer.ok) throw new Error(String(answer.status));
    const told = await answer.json();
    if (told.names.length) await load(section.dataset.uplot);
    if (running !== own) return;
    [found, shownFor] = [told, asked];
    setHidden(part("error"), true);
    paint();
  } catch (error) {
    if (error.name !== "AbortError") tell(error);
  } finally {
    if (running === own) section.removeAttribute("data-loading");
  }
}

function tell(error) {
  const why = /^\d+$/.test(error.message) ? `the site answered ${error.message}` : "the site does not answer";
  setText(cells.error, `The curves could not be read: ${why}.${found ? " They show what was read before." : ""}`);
  setHidden(part("error"), false);
}

// The history moves along, so that a moment stays at one place; at the end the window ends too.
async function poll() {
  if (document.hidden || found?.complete || polls <= 0) return;
  if (found?.end) polls -= 1;
  await ask();
  const isOpen = state.shown.range === null && state.shown.to === null;
  if (isOpen && found?.end) span.go(span.address({ end: found.end }), { isStep: false });
  else if (isOpen) span.again();
}

function paint() {
  if (!found) return;
  const names = state.names ?? Object.keys(found.scalars);
  const drawn = names.filter((name) => name in found.scalars);
  const hasTimes = drawn.every((name) => found.scalars[name].timestamp.some(Boolean));
  if (!hasTimes) state.axis = "step";
  const curves = new Map(drawn.map((name) => [name, points(found.scalars[name], state.axis)]));
  const isEmpty = !found.names.length;
  for (const name of ["picker", "bar"]) setHidden(part(name), isEmpty);
  setHidden(part("empty"), !isEmpty);
  setHidden(part("charts"), isEmpty || state.isTable);
  setHidden(part("table"), isEmpty || !state.isTable);
  paintControls(hasTimes);
  paintPicker();
  if (!isEmpty) paintCurves(curves);
}

function paintCurves(curves) {
  const window = windowOf(curves);
  const isOutside = !inside([...curves.values()], window);
  setText(cells.words, wordsOf(curves, isOutside));
  setHidden(part("whole"), !isOutside || !curves.size);
  if (state.isTable) import("./curve-table.js").then((table) => table.paint(part("table"), curves));
  else charts.paint(curves, { axis: state.axis, isLog: state.isLog, window });
}

function windowOf(curves) {
  if (state.axis === "time") return span.bounds(state.shown, now());
  const [first, last] = state.steps ?? reach([...curves.values()]) ?? [0, 1];
  return [first, Math.max(last, first + 1)];
}

function inside(curves, [from, to]) {
  return curves.some(({ xs }) => xs.some((x) => x >= from && x <= to));
}

function wordsOf(curves, isOutside) {
  if (!curves.size) return state.names?.length ? "Not printed yet." : "Choose what to draw.";
  if (isOutside) return "Nothing of it was printed in this window.";
  const along = state.axis === "step" ? "Along steps" : "Along the time of the history below";
  return [along, found.complete ? "all read" : "grows every 10 s"].join(" · ");
}

function paintControls(hasTimes) {
  for (const link of section.querySelectorAll("[data-set]")) {
    const changes = Object.fromEntries(new URLSearchParams(link.dataset.set));
    setAttribute(link, "href", span.address(changes));
    if (link.closest(".segments")) link.toggleAttribute("aria-current", false);
  }
  for (const set of [`axis=${state.axis === "step" ? "step" : ""}`, `scale=${state.isLog ? "log" : ""}`]) {
    section.querySelector(`.segments [data-set="${set}"]`)?.setAttribute("aria-current", "true");
  }
  setHidden(part("along-time"), !hasTimes);
  setHidden(part("table-on"), state.isTable);
  setHidden(part("table-off"), !state.isTable);
  setHidden(part("reset"), !zoomed());
}

function paintPicker() {
  const drawn = new Set(state.names ?? Object.keys(found.scalars));
  const words = part("filter").value.trim().toLowerCase();
  const isFull = drawn.size >= MOST;
  const places = new Map([...drawn].filter((name) => name in found.scalars).map((name, place) => [name, place]));
  setText(cells.count, `${number(found.names.length)} ${found.names.length === 1 ? "name" : "names"}, ${number(drawn.size)} drawn${isFull ? `, no more than ${MOST} at once` : ""}`);
  setHidden(part("filter"), found.names.length <= MOST);
  rows(part("names"), document.getElementById("curve-row"), found.names, (cell, name, row) => {
    row.className = places.has(name) ? `curve-${places.get(name)}` : "";
    setHidden(row, !name.toLowerCase().includes(words));
    setAttribute(cell.pick, "value", name);
    setAttribute(cell.pick, "aria-label", `Draw ${name}`);
    cell.pick.checked = drawn.has(name);
    cell.pick.disabled = isFull && !drawn.has(name);
    setText(cell.name, name);
    setText(cell.step, number(found.last[name].step));
    setText(cell.value, short(found.last[name].value));
  });
}

function chosen({ target }) {
  if (!target.matches("[data-v=pick]")) return;
  const before = state.names ?? Object.keys(found?.scalars ?? {});
  const after = target.checked ? [...before, target.value] : before.filter((name) => name !== target.value);
  span.go(span.address({ curve: after.length ? after : [""] }));
}

function clicked(event) {
  const link = event.target.closest("[data-set]");
  const isPlain = !event.ctrlKey && !event.metaKey && !event.shiftKey && event.button === 0;
  if (link && isPlain) {
    event.preventDefault();
    span.go(span.address(Object.fromEntries(new URLSearchParams(link.dataset.set))));
  }
  if (event.target.closest("[data-retry]")) ask();
}

function zoom(from, to) {
  if (state.axis === "step") span.go(span.address({ steps: [Math.floor(from), Math.ceil(to)].join("/") }));
  else span.go(span.address({ zoom: span.roomy(from, to).map(span.text).join("/") }));
}

function reset() {
  span.go(span.address({ zoom: "", steps: "" }));
}

// The history stands below: its modules are loaded when somebody comes near.
function below(history) {
  const near = new IntersectionObserver(([entry]) => {
    if (!entry.isIntersecting) return;
    near.disconnect();
    for (const { dataset } of history.querySelectorAll("[data-later]")) import(dataset.later);
  }, { rootMargin: "25%" });
  near.observe(history);
}
