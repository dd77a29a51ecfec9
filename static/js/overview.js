// All machines: the table is painted by the server, only cells whose value changed are touched.

import { parts, setAttribute, setHidden, setText, setWidth, tall } from "./dom.js";
import { ABSENT, celsius, level, percent, sizePair, stamp, watts } from "./format.js";
import { fetchJson, openLive } from "./live.js";
import { carry, showSwitch } from "./shell.js";
import * as spark from "./spark.js";
import { summarise, totals } from "./summary.js";

const SVG = "http://www.w3.org/2000/svg";
const fleet = document.getElementById("fleet");
const machines = new Map(); // id → {connection, line}
const changed = new Set();
const firing = document.querySelector("#alerts-link [data-v=count]");
const reasons = fleet ? JSON.parse(fleet.dataset.reasons) : {};
const inView = new IntersectionObserver(watch, { rootMargin: "200px" });
const sparks = new Map(); // id → the last thirty minutes, as the server drew them and since
const visible = new Set(); // ids of the rows on the screen; the others wait until they are seen
let complete = false;
let frame = 0;

if (fleet) {
  openLive({ path: "/ws/live/", topics: ["fleet"], onEvent: receive, poll, pollSeconds: 5 });
  fleet.addEventListener("input", filter);
  settle();
}

function receive({ event, data }) {
  if (event === "state") {
    for (const { connection, sample } of data.connections) keep(connection, sample);
    if (!complete && data.complete) complete = true;
    else if (data.complete) askFiring(); // the socket was away for a while
  } else if (event === "sample") {
    for (const sample of data.samples) keep(null, sample);
  } else if (event === "alert") {
    askFiring();
  } else if (event === "status") {
    const isNew = complete && !machines.has(data.connection.id);
    keep(data.connection, null);
    if (isNew && !data.connection.deleted) reload();
  }
  schedule();
}

function schedule() {
  frame ||= requestAnimationFrame(paint);
}

function watch(entries) {
  for (const { target, isIntersecting } of entries) {
    if (isIntersecting) visible.add(target.dataset.id);
    else visible.delete(target.dataset.id);
  }
  schedule();
}

// After the server has painted the table.
function settle() {
  visible.clear();
  inView.disconnect();
  sparks.clear();
  for (const row of fleet.querySelectorAll("tbody tr")) {
    inView.observe(row);
    sparks.set(row.dataset.id, spark.read(row.querySelector(".spark")));
  }
  filter();
}

function keep(connection, sample) {
  const id = connection?.id ?? sample.connection_id;
  if (connection?.deleted) {
    machines.delete(id);
    reload();
    return;
  }
  if (isElsewhere(connection, id)) return;
  const machine = machines.get(id) ?? {};
  if (connection) machine.connection = connection;
  if (sample) {
    machine.line = summarise(sample);
    follow(sparks.get(id), sample, machine.line);
  }
  machines.set(id, machine);
  changed.add(id);
}

// The load of the GPUs, or of the processor where there are none.
function follow(line, sample, { percent: load, percents }) {
  if (line) spark.add(line, percents.length ? load : sample.cpu.utilization_percent, Date.parse(sample.recorded_at));
}

// The socket tells of every team; the page may be narrowed to one.
function isElsewhere(connection, id) {
  const team = fleet.dataset.team;
  if (!team) return false;
  return connection ? connection.team_id !== team : !machines.has(id);
}

function paint() {
  frame = 0;
  for (const id of visible) {
    const machine = machines.get(id);
    if (!changed.has(id) || !machine?.connection) continue;
    changed.delete(id);
    const row = fleet.querySelector(`tr[data-id="${id}"]`);
    if (row) paintRow(row, machine);
  }
  if (complete) paintTotals();
}

function paintRow(row, { connection, line }) {
  const cells = parts(row);
  setAttribute(row, "data-status", connection.status);
  setAttribute(row, "data-reason", connection.reason ?? "");
  row.toggleAttribute("data-idle", connection.status !== "connected");
  setText(cells.status, connection.status);
  setHidden(cells.why, !connection.reason);
  setText(cells.reason, reasons[connection.reason] ?? "");
  setAttribute(row.querySelector("[data-countdown]"), "data-countdown", connection.retry_at ?? "");
  showSwitch(row, connection.is_active);
  row.toggleAttribute("data-empty", !line);
  if (line) paintReadings(cells, line);
  if (line && cells.spark) spark.paint(cells.spark, sparks.get(connection.id));
}

function paintReadings(cells, line) {
  setText(cells.gpu, line.percents.length ? percent(line.percent) : "no GPU");
  paintCores(cells.cores, line.percents);
  setText(cells.memory, sizePair(line.used, line.total));
  setWidth(cells["memory-bar"], line.memoryPercent);
  setAttribute(cells["memory-bar"].parentElement, "data-level", level(line.memoryPercent));
  setText(cells.temperature, celsius(line.temperature));
  setText(cells.power, watts(line.power));
  setText(cells.users, line.percents.length ? line.users.join(", ") || "nobody" : ABSENT);
  setAttribute(cells.users, "title", line.users.join(", "));
  setAttribute(cells.seen, "datetime", line.recordedAt);
  setAttribute(cells.seen, "title", stamp(new Date(line.recordedAt)));
}

// One upright bar per GPU, on a track each.
function paintCores(svg, percents) {
  const fills = svg.getElementsByClassName("fill");
  if (fills.length !== percents.length) {
    svg.replaceChildren(...percents.map((_, i) => bar("track", i)), ...percents.map((_, i) => bar("fill", i)));
    setAttribute(svg, "viewBox", `0 0 ${Math.max(8, percents.length)} 22`);
  }
  percents.forEach((value, place) => {
    const height = tall(value, 22);
    setAttribute(fills[place], "y", (22 - height).toFixed(2));
    setAttribute(fills[place], "height", height.toFixed(2));
    setAttribute(fills[place], "data-level", level(value));
  });
}

function bar(name, place) {
  const rect = document.createElementNS(SVG, "rect");
  const fixed = { class: name, x: place + 0.06, y: 0, width: 0.88, height: 22 };
  for (const [key, value] of Object.entries(fixed)) rect.setAttribute(key, value);
  return rect;
}

function paintTotals() {
  const all = [...machines.values()].filter((machine) => machine.connection);
  const connected = all.filter((machine) => machine.connection.status === "connected");
  const sums = totals(connected.filter((machine) => machine.line).map((machine) => machine.line));
  const cells = parts(document.getElementById("totals"));
  setText(cells.connected, String(connected.length));
  setText(cells.machines, String(all.length));
  setText(cells.busy, String(sums.busy));
  setText(cells.gpus, String(sums.gpus));
  setText(cells.memory, sizePair(sums.used, sums.total));
  setText(cells.power, watts(sums.power));
  for (const count of fleet.querySelectorAll("[data-count]")) {
    setText(count, String(all.filter((one) => one.connection.status === count.dataset.count).length));
  }
  const troubled = all.filter((machine) => machine.connection.status === "error").length + countFiring();
  carry(troubled ? `${troubled} ⚠` : "", troubled > 0);
}

// The number beside “Alerts” in the header: what fires and nobody has acknowledged.
function countFiring() {
  return Number(firing.textContent);
}

async function askFiring() {
  const { count } = await fetchJson("/api/v1/alerts?state=firing&acknowledged=false&limit=1");
  setText(firing, String(count));
  setHidden(firing.parentElement, count === 0);
  schedule();
}

// Without a socket: the table again, as the server paints it.
async function poll() {
  await fetchJson("/api/v1/connections?limit=1");
  await reload();
}

function reload() {
  return window.htmx.ajax("GET", fleet.dataset.url, { target: "#fleet", swap: "innerHTML" }).then(settle);
}

function filter() {
  const field = document.getElementById("filter");
  const wanted = field.value.trim().toLowerCase();
  let shown = 0;
  for (const row of fleet.querySelectorAll("tbody tr")) {
    row.hidden = !row.dataset.words.includes(wanted);
    shown += row.hidden ? 0 : 1;
  }
  setHidden(document.getElementById("none-fits"), shown > 0 || !wanted);
}
