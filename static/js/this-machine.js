// The site's own machine: a socket, then HTTP, and when both fail what the browser itself knows.

import { parts, rows, setAttribute, setHidden, setText, setWidth } from "./dom.js";
import { level, number, quantity, sizePair } from "./format.js";
import { paintGauge } from "./gauge.js";
import { fetchJson, openLive } from "./live.js";
import { gauges as gpuGauges } from "./panels.js";

const GIB = 1024 ** 3;
const own = document.getElementById("own");
const estimated = document.getElementById("estimated");
// Another site, if the person reads that one's machine; "" for this one.
const { origin } = own.dataset;
let estimating = null;

openLive({
  path: "/ws/metrics/",
  origin: origin || location.origin,
  onEvent: ({ data }) => fromSite(data),
  poll: async () => fromSite(await fetchJson(`${origin}/api/metrics`)),
  pollSeconds: 2,
  onLost: estimate,
});

function fromSite(data) {
  clearInterval(estimating);
  estimating = null;
  setHidden(estimated, true);
  if (data.gpus.length !== Number(own.dataset.gpus)) {
    own.dataset.gpus = data.gpus.length;
    // How many GPUs another site has, only this script knows.
    const address = origin ? `?gpus=${data.gpus.length}` : location.href;
    window.htmx.ajax("GET", address, { target: "#own", select: "#own", swap: "innerHTML" });
    return;
  }
  paint(data);
  data.gpus.forEach((gpu, place) => {
    const painted = gpuGauges(asGpu(gpu));
    if (origin) setText(own.querySelector(`[data-gpu-panel="${place}"] h2`), data.gpus[place].model ?? "GPU");
    for (const card of own.querySelectorAll(`[data-gpu-panel="${place}"] [data-gauge]`)) {
      paintGauge(card, painted[card.dataset.gauge]);
    }
  });
}

function paint({ cpu, memory, battery }) {
  const cores = cpu.cores === null ? "" : `${cpu.cores} cores`;
  const speed = cpu.frequency === null ? "" : quantity(cpu.frequency, "MHz");
  const detail = [cores, speed].filter(Boolean).join(" · ");
  paintGauge(own.querySelector("[data-gauge=cpu]"), gauge(cpu.utilization, detail, "busy"));
  const card = own.querySelector("[data-gauge=memory]");
  paintGauge(card, gauge(memory.percent, memory.detail ?? sizePair(memory.used, memory.total), "high"));
  const lines = meters(memory, battery);
  setHidden(document.getElementById("more"), !lines.length);
  rows(own.querySelector("[data-rows=meters]"), document.getElementById("meter-template"), lines, (cells, item, row) => {
    setAttribute(row, "data-level", item.level);
    setText(cells.label, item.label);
    setText(cells.text, item.text);
    setWidth(cells.bar, item.percent);
  });
}

function gauge(value, detail, highWord) {
  const is = level(value);
  const word = { normal: "normal", elevated: "elevated", high: highWord }[is] ?? "not known";
  return { level: is, fill: value, text: number(value), word, detail };
}

function meters(memory, battery) {
  const lines = [];
  if (memory.swapTotal) {
    const text = sizePair(memory.swapUsed, memory.swapTotal);
    lines.push({ label: "Swap", percent: memory.swapPercent, text, level: level(memory.swapPercent) });
  }
  if (battery) {
    const text = quantity(battery.level, "%") + (battery.charging ? " · charging" : "");
    const low = battery.level !== null && battery.level < 15;
    lines.push({ label: "Battery", percent: battery.level, text, level: low ? "high" : "normal" });
  }
  return lines;
}

// The same reading under the names that the gauges know.
function asGpu(gpu) {
  return {
    utilization_percent: gpu.utilization,
    memory_used_bytes: gpu.memoryUsed,
    memory_total_bytes: gpu.memoryTotal,
    memory_kind: null,
    temperature_c: gpu.temperature,
    power_watts: gpu.powerDraw,
    power_limit_watts: null,
    fan_percent: null,
    sm_clock_mhz: gpu.graphicsClock,
  };
}

function estimate() {
  if (estimating) return;
  setHidden(estimated, false);
  const show = async () => paint(await guess());
  estimating = setInterval(show, 2000);
  show();
}

// A browser tells a class of memory, never how much is used, and may tell nothing of a battery.
async function guess() {
  const known = navigator.deviceMemory ? `about ${navigator.deviceMemory} GiB or more` : "size not told";
  const total = navigator.deviceMemory ? navigator.deviceMemory * GIB : null;
  return {
    cpu: { utilization: await measuredLoad(), cores: navigator.hardwareConcurrency ?? null, frequency: null },
    memory: { percent: null, used: null, total, detail: known, swapTotal: 0 },
    battery: await battery(),
  };
}

// How late this page's own timers are: the share of one core that something else took from them.
async function measuredLoad(ticks = 20, milliseconds = 25) {
  let late = 0;
  const began = performance.now();
  for (let tick = 0; tick < ticks; tick += 1) {
    const before = performance.now();
    await new Promise((done) => setTimeout(done, milliseconds));
    late += Math.max(0, performance.now() - before - milliseconds - 1);
  }
  return Math.min(100, (100 * late) / (performance.now() - began));
}

async function battery() {
  if (!navigator.getBattery) return null;
  const told = await navigator.getBattery();
  return { level: told.level * 100, charging: told.charging };
}
