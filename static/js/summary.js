// One machine in one line; metrics/pages/summaries.py follows the same rules on the server:
// utilisation is the mean over the GPUs, memory and power are sums, temperature the highest.

import { share } from "./format.js";

const BUSY_PERCENT = 5;

const known = (values) => values.filter((value) => value !== null);
const total = (values) => (known(values).length ? known(values).reduce((a, b) => a + b, 0) : null);

export function summarise(sample) {
  const { gpus } = sample;
  const percents = gpus.map((gpu) => gpu.utilization_percent);
  const pairs = gpus.filter((gpu) => gpu.memory_used_bytes !== null && gpu.memory_total_bytes !== null);
  const used = total(pairs.map((gpu) => gpu.memory_used_bytes));
  const all = total(pairs.map((gpu) => gpu.memory_total_bytes));
  const sum = total(percents);
  return {
    recordedAt: sample.recorded_at,
    percents,
    percent: sum === null ? null : sum / known(percents).length,
    used,
    total: all,
    memoryPercent: share(used, all),
    temperature: gpus.length ? maximum(known(gpus.map((gpu) => gpu.temperature_c))) : null,
    power: total(gpus.map((gpu) => gpu.power_watts)),
    users: [...new Set(sample.processes.map((item) => item.user).filter(Boolean))].sort(),
  };
}

export function totals(lines) {
  const percents = lines.flatMap((line) => line.percents);
  return {
    gpus: percents.length,
    busy: percents.filter((value) => value !== null && value >= BUSY_PERCENT).length,
    used: total(lines.map((line) => line.used)),
    total: total(lines.map((line) => line.total)),
    power: total(lines.map((line) => line.power)),
  };
}

function maximum(values) {
  return values.length ? Math.max(...values) : null;
}
