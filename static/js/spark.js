// The small curve of a row: the last thirty minutes, drawn by the server (metrics/pages/sparklines.py) and
// carried on by the live samples. A minute without readings is a gap.

import { clamp, setAttribute } from "./dom.js";

const HEIGHT = 24;
const MARGIN = 1;

// {minute, values, of, sum, count}: the mean of the running minute is the last value.
export function read(svg) {
  const { minute, values, of } = svg.dataset;
  return {
    minute: Number(minute),
    values: values.split(",").map((text) => (text === "" ? null : Number(text))),
    of,
    sum: 0,
    count: 0,
  };
}

// One reading in percent at a time in milliseconds; an absent one only moves the time on.
export function add(spark, value, at) {
  const minute = Math.floor(at / 60000);
  const gone = Math.min(spark.values.length, minute - spark.minute);
  if (gone < 0) return;
  if (gone > 0) {
    spark.values.splice(0, gone);
    spark.values.push(...Array(gone).fill(null));
    Object.assign(spark, { minute, sum: 0, count: 0 });
  }
  if (value === null) return;
  spark.sum += value;
  spark.count += 1;
  spark.values[spark.values.length - 1] = spark.sum / spark.count;
}

export function paint(svg, spark) {
  let isDown = false;
  const parts = spark.values.map((value, place) => {
    const step = value === null ? "" : `${isDown ? "L" : "M"}${place} ${height(value)}h.5`;
    isDown = value !== null;
    return step;
  });
  setAttribute(svg.firstElementChild, "d", parts.join(""));
  setAttribute(svg, "aria-label", wordsOf(spark));
}

function height(value) {
  return (HEIGHT - MARGIN - ((HEIGHT - 2 * MARGIN) * clamp(value)) / 100).toFixed(1);
}

function wordsOf({ values, of }) {
  const known = values.filter((value) => value !== null);
  if (!known.length) return "last 30 minutes: no reading";
  return `${of}, last 30 minutes: ${Math.round(Math.min(...known))} to ${Math.round(Math.max(...known))} %`;
}
