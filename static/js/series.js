// The history as columns: what the API answers becomes what a chart draws and what a table says.
// Pure functions; times are seconds since 1970, as uPlot counts them, and a gap is null.

import { ABSENT, number, quantity, rate } from "./format.js";

const UNITS = {
  percent: (value) => quantity(value, "%"),
  celsius: (value) => quantity(value, "°C"),
  watts: (value) => quantity(value, "W"),
  bytes_per_second: rate,
  printed: (value) => (value === null ? ABSENT : String(Number(value.toPrecision(5)))),
};
const STEPS = [[86400, "day"], [3600, "hour"], [60, "minute"], [1, "second"]];
const SHORT = { day: "d", hour: "h", minute: "min", second: "s" };

export function inUnit(unit) {
  return UNITS[unit] ?? ((value) => number(value, 1));
}

// {tier, resolution_seconds, series} → {tier, resolution, times, columns: {name: {avg, min, max}}}
export function columns({ tier, resolution_seconds: resolution, series }) {
  const { timestamp, ...rest } = series;
  return { tier, resolution, times: timestamp.map((text) => Date.parse(text) / 1000), columns: rest };
}

// The older columns with the tail in place of what it covers, without what lies before `from`.
export function extended(old, tail, from) {
  const keepTo = indexFrom(old.times, tail.times[0] ?? Infinity);
  const keepFrom = Math.min(indexFrom(old.times, from), keepTo);
  const join = (before, after) => [...before.slice(keepFrom, keepTo), ...after];
  const blank = tail.times.map(() => null);
  const joined = {};
  for (const [name, column] of Object.entries(old.columns)) {
    const more = tail.columns[name];
    joined[name] = {};
    for (const part of ["avg", "min", "max"]) joined[name][part] = join(column[part], more?.[part] ?? blank);
  }
  return { ...old, times: join(old.times, tail.times), columns: joined };
}

function indexFrom(times, moment) {
  const found = times.findIndex((time) => time >= moment);
  return found < 0 ? times.length : found;
}

export function hasValues(column) {
  return column !== undefined && column.avg.some((value) => value !== null);
}

export function isEmpty(data) {
  return !Object.values(data.columns).some(hasValues);
}

// Least, mean, greatest and last of what is known; null without any.
export function summary(column) {
  if (!hasValues(column)) return null;
  const known = (values) => values.filter((value) => value !== null);
  const means = known(column.avg);
  return {
    min: known(column.min).reduce((a, b) => Math.min(a, b)),
    mean: means.reduce((a, b) => a + b) / means.length,
    max: known(column.max).reduce((a, b) => Math.max(a, b)),
    last: means.at(-1),
  };
}

export function summaryText(column, unit, label) {
  const found = summary(column);
  const show = inUnit(unit);
  if (!found) return `${label}: not reported in this window`;
  return `${label}: lowest ${show(found.min)}, mean ${show(found.mean)}, highest ${show(found.max)}, last ${show(found.last)}`;
}

// One reading in words: the mean, and the band where there is one.
export function valueText(column, place, unit) {
  const show = inUnit(unit);
  const mean = column?.avg[place] ?? null;
  if (mean === null) return "no value";
  const [low, high] = [show(column.min[place]), show(column.max[place])];
  return low === high ? show(mean) : `${show(mean)} (${low} – ${high})`;
}

// How fine the values are: "20 s means", "1 h means".
export function resolutionText(seconds) {
  const [length, name] = STEPS.find(([step]) => seconds >= step) ?? [1, "second"];
  return `${number(seconds / length, seconds % length ? 1 : 0)} ${SHORT[name]} averages`;
}
