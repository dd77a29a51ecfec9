// From pieces of a log by byte offset to numbered lines. A push is a hint: what is missing between
// two of them is read over HTTP, and what was seen already is passed over.

import { fetchJson } from "./live.js";
import { shown } from "./log-lines.js";

const PIECE = 256 * 1024;

// What the server gave: lines with numbers and times.
export function linesOf({ first, texts, times }) {
  let place = -1;
  return texts.map((text, i) => {
    while (place + 1 < times.length && times[place + 1][0] <= first + i) place += 1;
    return { number: first + i, text, at: times[place]?.[1] ?? null };
  });
}

// `part` ends where the log ends; `onLines(lines)` gets what follows, the last one perhaps not yet
// complete. Times are when this browser got them.
export function streamOf(job, part, now, onLines) {
  let offset = part.next_offset;
  let rest = part.is_open ? part.texts.at(-1) + (part.returns ? "\r" : "") : "";
  let number = part.first + part.texts.length - (part.is_open ? 1 : 0);
  let known = offset;
  let reading = false;

  function feed(text, next) {
    const at = now();
    const pieces = (rest + text).split("\n");
    rest = pieces.pop();
    const lines = pieces.map((raw) => ({ number: number++, text: shown(raw), at }));
    // Of a line that is painted over, the last picture is enough.
    rest = rest.slice(rest.lastIndexOf("\r", rest.length - 2) + 1);
    offset = next;
    onLines(rest ? [...lines, { number, text: shown(rest), at }] : lines, lines.length);
  }

  async function catchUp() {
    if (reading) return;
    reading = true;
    try {
      while (offset < known) {
        const found = await fetchJson(`/api/v1/jobs/${job}/log?offset=${offset}&limit=${PIECE}`);
        if (found.next_offset <= offset) break;
        feed(found.text, found.next_offset);
      }
    } finally {
      reading = false;
    }
  }

  return {
    get behind() { return known - offset; },
    // Rejects when what is missing cannot be read.
    async receive(piece) {
      known = Math.max(known, piece.next_offset);
      if (piece.offset === offset && !reading) feed(piece.text, piece.next_offset);
      else if (offset < known) await catchUp();
    },
    async poll(end) {
      known = Math.max(known, end);
      await catchUp();
    },
  };
}
