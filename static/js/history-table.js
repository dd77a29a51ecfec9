// The History section as a table: one row per point, the newest first, a column per curve.

import { stamp } from "./format.js";
import { hasValues, valueText } from "./series.js";

export function paint(holder, data, frames) {
  const heads = frames.flatMap(({ figure, lines, unit }) => {
    const title = figure.querySelector("h3").textContent.trim();
    const shown = lines.filter(({ metric }) => hasValues(data.columns[metric]));
    return shown.map(({ metric, label }) => ({ metric, unit, title: lines.length > 1 ? `${title}, ${label}` : title }));
  });
  const table = document.createElement("table");
  const caption = table.createCaption();
  caption.className = "visually-hidden";
  caption.textContent = "The history, newest first";
  const head = table.createTHead().insertRow();
  head.append(cell("th", "Time"), ...heads.map(({ title }) => cell("th", title, "number")));
  for (const column of head.cells) column.scope = "col";
  const body = table.createTBody();
  for (let place = data.times.length - 1; place >= 0; place -= 1) body.append(rowOf(data, place, heads));
  const wrap = document.createElement("div");
  Object.assign(wrap, { className: "table-wrap history-table", tabIndex: 0 });
  wrap.setAttribute("role", "group");
  wrap.setAttribute("aria-label", "The history as a table");
  wrap.append(table);
  holder.replaceChildren(wrap);
}

function rowOf(data, place, heads) {
  const row = document.createElement("tr");
  const time = cell("th", stamp(new Date(data.times[place] * 1000)));
  time.scope = "row";
  row.append(time);
  for (const { metric, unit } of heads) {
    const column = data.columns[metric];
    row.append(cell("td", column.avg[place] === null ? "—" : valueText(column, place, unit), "number"));
  }
  return row;
}

function cell(name, text, className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  made.className = className;
  return made;
}
