// The lines of a log that stand in the page: a window of at most MOST neighbours, which grows at
// both ends and forgets at the other. Text goes in as textContent.

import { pieces, plain } from "./ansi.js";
import { clock } from "./format.js";

export const MOST = 5000;
const LONGEST = 10_000;

// What a person sees of a line: what was painted last; the server says the same (jobs/log/viewer.py).
export function shown(raw) {
  let end = raw.length; // not by a pattern: one that ends at the end starts over at each \r
  while (end > 0 && raw[end - 1] === "\r") end -= 1;
  const start = end > 0 ? raw.lastIndexOf("\r", end - 1) + 1 : 0;
  return raw.slice(start, Math.min(end, start + LONGEST));
}

export function windowOf(box, isColoured) {
  let lines = []; // {number, text, at, element}

  function make(line) {
    const element = document.createElement("div");
    element.className = "line";
    element.id = `L${line.number}`;
    const link = document.createElement("a");
    link.className = "line-number";
    link.href = `#L${line.number}`;
    link.tabIndex = -1; // thousands of stops would bury the page behind them
    link.textContent = line.number;
    const time = document.createElement("time");
    time.className = "line-time";
    if (line.at) time.textContent = clock(new Date(line.at));
    const text = document.createElement("span");
    text.className = "line-text";
    element.append(link, time, text);
    line.element = element;
    write(line);
    return element;
  }

  function write({ element, text }) {
    const place = element.lastChild;
    if (!text.includes("\x1b")) place.textContent = text;
    else if (!isColoured()) place.textContent = plain(text);
    else place.replaceChildren(...pieces(text).map(colour));
  }

  return {
    get first() { return lines[0]?.number ?? 1; },
    get last() { return lines.at(-1)?.number ?? 0; },
    get length() { return lines.length; },
    text: () => lines.map((line) => plain(line.text)).join("\n"),
    find: (number) => lines[number - lines[0]?.number]?.element,
    repaint: () => lines.filter((line) => line.text.includes("\x1b")).forEach(write),

    replace(found) {
      lines = [...found];
      box.replaceChildren(...lines.map(make));
    },
    // The last line is written over if it is there already: it was not yet complete.
    append(found) {
      const fresh = found.filter((line) => line.number > this.last);
      const again = found.length > fresh.length ? found[found.length - fresh.length - 1] : null;
      const old = lines.at(-1);
      if (again && old?.number === again.number && old.text !== again.text) {
        old.text = again.text;
        write(old);
      }
      box.append(...fresh.map(make));
      lines.push(...fresh);
    },
    prepend(found) {
      const fresh = found.filter((line) => line.number < this.first);
      box.prepend(...fresh.map(make));
      lines = [...fresh, ...lines];
    },
    // Whether some had to go.
    trimStart() {
      return remove(lines.splice(0, Math.max(0, lines.length - MOST)));
    },
    trimEnd() {
      return remove(lines.splice(MOST));
    },
  };
}

function remove(lines) {
  for (const { element } of lines) element.remove();
  return lines.length > 0;
}

function colour({ text, names }) {
  if (!names.length) return text;
  const span = document.createElement("span");
  span.className = names.join(" ");
  span.textContent = text;
  return span;
}
