// The points of a printed curve: what the API answers becomes what a chart draws, and what is said
// of it. Pure functions; a value that was not finite is null and stays a gap.

import { ABSENT, number } from "./format.js";

const DIGITS = 5; // of a value, as the server writes it
const SMALL = 1e-4;

// {step, value, timestamp} → {xs, values, steps, times, lost}, along seconds since 1970 or along
// steps; `lost` points have no place there.
export function points({ step, value, timestamp }, axis) {
  const times = timestamp.map((text) => (text === null ? null : Date.parse(text) / 1000));
  const all = value.map((_, i) => i);
  const kept = axis === "step" ? ascending(all, step) : all.filter((i) => times[i] !== null).sort((a, b) => times[a] - times[b]);
  const of = (column) => kept.map((i) => column[i]);
  return { xs: of(axis === "step" ? step : times), values: of(value), steps: of(step), times: of(times), lost: all.length - kept.length };
}

// A run that goes on from an earlier step replaces what came after it there.
function ascending(all, step) {
  const kept = [];
  for (const i of all) {
    while (kept.length && step[kept.at(-1)] >= step[i]) kept.pop();
    kept.push(i);
  }
  return kept;
}

// What has no logarithm is a gap on its scale.
export function positive(values) {
  return values.map((value) => (value > 0 ? value : null));
}

// The first and the last place on the axis of any of the curves; null without points.
export function reach(curves) {
  const ends = curves.filter(({ xs }) => xs.length).flatMap(({ xs }) => [xs[0], xs.at(-1)]);
  return ends.length ? [Math.min(...ends), Math.max(...ends)] : null;
}

export function short(value) {
  if (value === null || value === undefined) return ABSENT;
  const size = Math.abs(value);
  if (size === 0 || (size >= SMALL && size < 10 ** DIGITS)) return String(Number(value.toPrecision(DIGITS)));
  const [mantissa, power] = value.toExponential(DIGITS - 1).split("e");
  return `${Number(mantissa)}e${power[0]}${power.slice(1).padStart(2, "0")}`;
}

// Lowest, highest and last with their steps, what is not drawn, in words.
export function summary({ xs, values, steps, lost }, { axis, isLog }) {
  const known = values.map((_, i) => i).filter((i) => values[i] !== null);
  const broken = values.length - known.length;
  const least = known.reduce((best, i) => (values[i] < values[best] ? i : best), known[0]);
  const most = known.reduce((best, i) => (values[i] > values[best] ? i : best), known[0]);
  const at = (i) => `${short(values[i])} at step ${number(steps[i])}`;
  const without = isLog ? known.filter((i) => values[i] <= 0).length : 0;
  return [
    known.length ? `lowest ${at(least)}, highest ${at(most)}, last ${at(known.at(-1))}` : "no finite value",
    `${number(xs.length)} ${xs.length === 1 ? "point" : "points"}`,
    broken ? `${number(broken)} not finite` : "",
    without ? `${number(without)} of zero or less, which a logarithmic scale has no place for` : "",
    lost ? `${number(lost)} ${axis === "step" ? "replaced when the steps began anew" : "without a time"}` : "",
  ].filter(Boolean).join(" · ");
}
