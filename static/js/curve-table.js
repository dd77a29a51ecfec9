// Printed curves as a table: one row per line that was printed, the newest first.

import { short } from "./curve-points.js";
import { number, stamp } from "./format.js";

const MOST = 500;

// `curves`: name → points.
export function paint(holder, curves) {
  const rows = rowsOf(curves);
  const names = [...curves.keys()];
  const table = document.createElement("table");
  const caption = table.createCaption();
  caption.textContent = rows.length > MOST ? `The newest ${MOST} of ${number(rows.length)} points` : "What was printed, newest first";
  caption.className = rows.length > MOST ? "muted small" : "visually-hidden";
  const head = table.createTHead().insertRow();
  head.append(cell("th", "Time"), cell("th", "Step", "number"), ...names.map((name) => cell("th", name, "number mono")));
  for (const column of head.cells) column.scope = "col";
  const body = table.createTBody();
  for (const row of rows.slice(0, MOST)) body.append(painted(row, names));
  const wrap = document.createElement("div");
  Object.assign(wrap, { className: "table-wrap history-table", tabIndex: 0 });
  wrap.setAttribute("role", "group");
  wrap.setAttribute("aria-label", "Printed values as a table");
  wrap.append(table);
  holder.replaceChildren(wrap);
}

// What was printed on one line shares its step and its time.
function rowsOf(curves) {
  const rows = new Map();
  for (const [name, { steps, times, values }] of curves) {
    steps.forEach((step, i) => {
      const key = `${times[i]} ${step}`;
      if (!rows.has(key)) rows.set(key, { step, time: times[i], values: new Map() });
      rows.get(key).values.set(name, values[i] === null ? "not finite" : short(values[i]));
    });
  }
  return [...rows.values()].sort((a, b) => b.time - a.time || b.step - a.step);
}

function painted({ step, time, values }, names) {
  const row = document.createElement("tr");
  const head = cell("th", time === null ? "—" : stamp(new Date(time * 1000)));
  head.scope = "row";
  row.append(head, cell("td", number(step), "number"), ...names.map((name) => cell("td", values.get(name) ?? "—", "number")));
  return row;
}

function cell(name, text, className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  made.className = className;
  return made;
}
