// The metrics tab: what the server painted once is kept current from the socket, or over HTTP.

import { serverNow } from "./clock.js";
import { parts, rows, setAttribute, setHidden, setText, setWidth } from "./dom.js";
import { celsius, clock, day, level, share, size, sizePair, stamp, watts } from "./format.js";
import { paintBars, paintGauge } from "./gauge.js";
import { machineId, showAlerts, showHead } from "./head.js";
import { fetchJson, openLive } from "./live.js";
import * as panels from "./panels.js";

const STALE_MILLISECONDS = 6000;
const api = `/api/v1/connections/${machineId}`;
let recent = []; // [{recorded_at, gpus: [{index, utilization_percent}]}], oldest first
let status = null;
let lastAt = null;
let frame = 0;
let waiting = null;
let askedAt = 0; // for what was carried since the machine was connected

openLive({ path: "/ws/live/", topics: [`connection:${machineId}`], onEvent: receive, poll, pollSeconds: 2 });
setInterval(() => document.hidden || showAge(), 1000);
// How long unified memory lasts changes without an event.
setInterval(() => document.hidden || !isUnified() || showAlerts(), 10_000);
later(document.getElementById("history"));

function receive({ event, data }) {
  if (event === "state") {
    recent = data.recent;
    showStatus(data.connection);
    if (data.sample) schedule(data.sample);
  } else if (event === "status") {
    showStatus(data.connection);
  } else if (event === "sample") {
    add(data);
    schedule(data);
  } else if (event === "alert") {
    showAlerts();
  }
}

async function poll() {
  showStatus(await fetchJson(api));
  const answer = await fetch(`${api}/metrics`);
  if (answer.status === 404) return; // no sample yet
  if (!answer.ok) throw new Error(String(answer.status));
  const sample = await answer.json();
  if (sample.recorded_at !== recent.at(-1)?.recorded_at) add(sample);
  schedule(sample);
}

function isUnified() {
  return waiting?.gpus.some((gpu) => gpu.memory_kind === "unified");
}

function add(sample) {
  recent.push(sample);
  if (recent.length > panels.BARS) recent.shift();
}

function schedule(sample) {
  waiting = sample;
  frame ||= requestAnimationFrame(() => {
    frame = 0;
    paint(waiting);
  });
}

function paint(sample) {
  const area = document.getElementById("metrics");
  // Another set of GPUs, or the first sample ever: the server draws the new frame.
  if (area.dataset.empty === "yes" || Number(area.dataset.gpus) !== sample.gpus.length) {
    replace("#metrics");
    return;
  }
  lastAt = Date.parse(sample.recorded_at);
  for (const gpu of sample.gpus) {
    const panel = area.querySelector(`[data-gpu-panel="${gpu.index}"]`);
    if (panel) paintGpu(panel, gpu);
  }
  paintMachine(area, sample);
  showAge();
}

function paintGpu(panel, gpu) {
  const gauges = panels.gauges(gpu);
  for (const card of panel.querySelectorAll("[data-gauge]")) paintGauge(card, gauges[card.dataset.gauge]);
  const readings = recent.map((sample) =>
    sample.gpus.find((one) => one.index === gpu.index)?.utilization_percent ?? null);
  paintBars(panel.querySelector("svg.bars"), readings, panels.barsText(gpu.index, readings));
  if (panel.matches(".gpu")) paintSmall(panel, gpu, gauges);
  const cells = parts(panel);
  const throttled = panels.throttle(gpu);
  setText(cells.throttle, throttled);
  setHidden(panel.querySelector("[data-part=throttle]"), !throttled);
  const slices = panels.slices(gpu);
  const list = panel.querySelector("[data-rows=mig]");
  setHidden(list, !slices.length);
  rows(list, template("meter"), slices, paintMeter);
}

function paintSmall(panel, gpu, gauges) {
  const cells = parts(panel);
  setAttribute(panel, "data-level", gauges.utilization.level);
  setText(cells.load, gauges.utilization.text);
  setText(cells.word, gauges.utilization.word);
  setText(cells.heat, celsius(gpu.temperature_c));
  setText(cells.power, watts(gpu.power_watts));
  setHidden(cells.unified, gpu.memory_kind !== "unified");
  setText(cells.memory, sizePair(gpu.memory_used_bytes, gpu.memory_total_bytes));
  const filled = share(gpu.memory_used_bytes, gpu.memory_total_bytes);
  setWidth(cells["memory-bar"], filled);
  setAttribute(cells["memory-bar"].parentElement, "data-level", level(filled));
}

function paintMachine(area, sample) {
  rows(area.querySelector("[data-rows=meters]"), template("meter"), panels.meters(sample), paintMeter);
  const processes = panels.processes(sample);
  setHidden(area.querySelector("[data-part=no-processes]"), processes.length > 0);
  setHidden(area.querySelector("[data-part=processes]"), processes.length === 0);
  rows(area.querySelector("[data-rows=processes]"), template("process"), processes, paintTexts);
  rows(area.querySelector("[data-rows=networks]"), template("network"), panels.networks(sample), paintTexts);
  rows(area.querySelector("[data-rows=health]"), template("health"), sample.health, paintSource);
  paintSession(area, sample);
}

function paintMeter(cells, item, row) {
  setAttribute(row, "data-level", item.level);
  setText(cells.label, item.label);
  setText(cells.text, item.text);
  setWidth(cells.bar, item.percent);
}

function paintTexts(cells, item) {
  for (const [name, text] of Object.entries(item)) setText(cells[name], text);
  if (cells.name) setAttribute(cells.name, "title", item.name);
}

function paintSource(cells, item) {
  const absent = item.detail === "not found";
  setText(cells.ok, item.ok ? "works" : absent ? "absent" : "fails");
  setAttribute(cells.ok, "class", item.ok ? "ok" : absent ? "muted" : "bad");
  setText(cells.source, item.source);
  setText(cells.detail, item.detail ?? "");
}

// What the default route's interface carried since the machine was connected; its counters from
// then stand in the page, and come anew when the machine was connected again. A page that was made
// while Redis did not know them asks for them, no more than once a minute.
function paintSession(area, sample) {
  const cell = area.querySelector("[data-v=session]");
  if (area.querySelector("#session[data-unknown]") && Date.now() - askedAt > 60_000) {
    askedAt = Date.now();
    replace("#session");
  }
  const now = sample.networks.find((item) => item.interface === cell?.dataset.interface);
  if (!now) return;
  const [rx, tx] = [now.rx_bytes - cell.dataset.rx, now.tx_bytes - cell.dataset.tx];
  if (rx >= 0 && tx >= 0) setText(cell, `${now.interface}: ${size(rx)} in, ${size(tx)} out`);
}

function showStatus(connection) {
  if (connection.deleted) {
    location.assign(`/?deleted=${connection.id}`);
    return;
  }
  showHead(connection);
  const now = `${connection.status} ${connection.reason} ${connection.retry_at}`;
  if (status !== null && status !== now) {
    replace("#off");
    if (document.getElementById("session")) replace("#session");
  }
  status = now;
  showAge();
}

// Three intervals without a sample: the numbers are greyed and say from when they are.
function showAge() {
  const area = document.getElementById("metrics");
  const badge = parts(area).stale;
  if (!badge || lastAt === null) return;
  const stale = serverNow() - lastAt > STALE_MILLISECONDS || !status?.startsWith("connected");
  area.toggleAttribute("data-stale", stale);
  setHidden(badge, !stale);
  if (stale) setText(badge, `last value ${moment(new Date(lastAt))}`);
}

// The clock time, with the date when it is not of today.
function moment(date) {
  return day(date) === day(new Date(serverNow())) ? clock(date) : stamp(date);
}

// What stands far below costs nothing before somebody scrolls or points there: the modules that the
// section names are loaded then.
function later(section) {
  let isReady = false;
  let loading = null;
  const wake = () => {
    near.disconnect();
    const modules = [...section.querySelectorAll("[data-later]")].map(({ dataset }) => import(dataset.later));
    loading ??= Promise.allSettled(modules).then(() => { isReady = true; });
    return loading;
  };
  const near = new IntersectionObserver(([entry]) => entry.isIntersecting && wake());
  near.observe(section.querySelector("[data-part=charts]"));
  for (const name of ["pointerover", "focusin"]) section.addEventListener(name, wake, { once: true });
  // Who is faster than the modules waits for them, and does not leave the page.
  section.addEventListener("submit", async (event) => {
    if (isReady) return;
    event.preventDefault();
    await wake();
    event.target.requestSubmit(event.submitter);
  });
}

function replace(selector) {
  return window.htmx.ajax("GET", location.href, { target: selector, select: selector, swap: "outerHTML" });
}

function template(name) {
  return document.getElementById(`${name}-template`);
}
