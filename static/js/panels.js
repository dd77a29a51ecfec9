// What is drawn of a sample, as plain data; metrics/pages/panels.py says the same on the server.

import { ABSENT, level, number, quantity, rate, share, size, sizePair } from "./format.js";

export const BARS = 60;
const NOT_REPORTED = "not reported by this GPU";
const LOAD_WORDS = { normal: "normal", elevated: "elevated", high: "busy" };
const WORDS = { normal: "normal", elevated: "elevated", high: "high" };

// The four gauges of one GPU: fill is the arc in percent, null where there is nothing to draw.
export function gauges(gpu) {
  return { utilization: utilization(gpu), memory: memory(gpu), temperature: temperature(gpu), power: power(gpu) };
}

function utilization({ utilization_percent: value, sm_clock_mhz: hertz }) {
  const is = level(value);
  const detail = hertz === null ? "" : `at ${quantity(hertz, "MHz")}`;
  return { level: is, fill: value, text: number(value), word: LOAD_WORDS[is] ?? NOT_REPORTED, detail };
}

function memory({ memory_used_bytes: used, memory_total_bytes: total, memory_kind: kind }) {
  const value = share(used, total);
  const is = level(value);
  const known = used === null && total === null ? "" : sizePair(used, total);
  const detail = [known, kind === "unified" ? "unified memory" : ""].filter(Boolean).join(" · ");
  return { level: is, fill: value, text: number(value), word: WORDS[is] ?? NOT_REPORTED, detail };
}

function temperature({ temperature_c: value, fan_percent: fan }) {
  const is = level(value, 60, 80);
  const detail = fan === null ? "" : `fan ${quantity(fan, "%")}`;
  return { level: is, fill: value, text: number(value), word: WORDS[is] ?? NOT_REPORTED, detail };
}

function power({ power_watts: value, power_limit_watts: limit }) {
  const fill = share(value, limit);
  const word = value === null ? NOT_REPORTED : WORDS[level(fill)] ?? "";
  let detail = value === null ? "" : "limit not reported";
  if (limit !== null) detail = `limit ${quantity(limit, "W")}`;
  return { level: value === null ? "none" : "power", fill, text: number(value), word, detail };
}

// Processor, memory, swap, pressure, file systems and battery of the machine.
export function meters({ cpu, memory: ram, disks, battery }) {
  const lines = [processor(cpu), store("Memory", ram.used_bytes, ram.total_bytes)];
  if (ram.swap_total_bytes) lines.push(store("Swap", ram.swap_used_bytes, ram.swap_total_bytes));
  const pressure = ram.pressure_percent;
  if (pressure !== null) {
    lines.push({ label: "Memory pressure", percent: pressure, text: quantity(pressure, "%", 1), level: level(pressure, 10, 40) });
  }
  for (const disk of disks) lines.push(store(disk.mount, disk.used_bytes, disk.total_bytes, 80, 90));
  if (battery) lines.push(charge(battery));
  return lines;
}

function processor({ utilization_percent: value, cores, frequency_mhz: hertz, load_1m: load }) {
  const parts = [quantity(value, "%")];
  if (cores !== null) parts.push(`${cores} cores`);
  if (hertz !== null) parts.push(quantity(hertz, "MHz"));
  if (load !== null) parts.push(`load ${number(load, 2)}`);
  return { label: "CPU", percent: value, text: parts.join(" · "), level: level(value) };
}

function store(label, used, total, medium = 50, high = 80) {
  const percent = share(used, total);
  const pair = sizePair(used, total);
  const text = percent === null ? pair : `${quantity(percent, "%")} · ${pair}`;
  return { label, percent, text, level: level(percent, medium, high) };
}

function charge({ level_percent: value, charging }) {
  const text = quantity(value, "%") + (charging ? " · charging" : "");
  const is = value === null ? "none" : value < 15 ? "high" : "normal";
  return { label: "Battery", percent: value, text, level: is };
}

export function slices(gpu) {
  return gpu.mig.map((part) =>
    store(`MIG ${part.index} · ${part.profile || "slice"}`, part.memory_used_bytes, part.memory_total_bytes));
}

export function throttle(gpu) {
  return (gpu.throttle_reasons ?? []).map((reason) => reason.replaceAll("_", " ")).join(", ");
}

export function processes(sample) {
  const indexOf = new Map();
  for (const gpu of sample.gpus) {
    indexOf.set(gpu.uuid, gpu.index);
    for (const part of gpu.mig) indexOf.set(part.uuid, gpu.index);
  }
  return sample.processes
    .toSorted((a, b) => (b.memory_used_bytes ?? 0) - (a.memory_used_bytes ?? 0))
    .map((item) => ({
      gpu: String(indexOf.get(item.gpu_uuid) ?? ABSENT),
      pid: String(item.pid),
      name: item.name || ABSENT,
      user: item.user || ABSENT,
      container: item.container || ABSENT,
      memory: size(item.memory_used_bytes),
    }));
}

export function networks(sample) {
  return sample.networks.map((item) => ({
    interface: item.interface,
    rx: rate(item.rx_bytes_per_second),
    tx: rate(item.tx_bytes_per_second),
    "rx-total": size(item.rx_bytes),
    "tx-total": size(item.tx_bytes),
  }));
}

export function barsText(index, readings) {
  const known = readings.filter((value) => value !== null);
  if (!known.length) return `GPU ${index}, last 2 minutes: no reading`;
  const [low, high, now] = [Math.min(...known), Math.max(...known), known.at(-1)].map((value) => number(value));
  return `GPU ${index}, last 2 minutes: between ${low} and ${high} %, now ${now} %`;
}
