// Searching a whole log, on the server: matches one after the other, and their number. The words
// stand in the address, so that a search can be sent to somebody.

import { parts, setHidden, setText } from "./dom.js";
import { fetchJson } from "./live.js";

const PAGE = 500;
const MOST = 1000; // the server stops there

export function searchOf(section, { job, goTo, from }) {
  const form = section.querySelector(".log-search");
  const field = form.querySelector("input");
  const cells = parts(section);
  let words = "";
  let found = []; // numbers of lines
  let place = 0;
  let isWhole = true; // of a very long log the server reads what it can in a few seconds

  form.addEventListener("submit", (event) => { event.preventDefault(); go(1); });
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !event.shiftKey) return;
    event.preventDefault();
    go(-1);
  });
  field.addEventListener("input", () => field.value || clear());
  section.addEventListener("click", ({ target }) => {
    const act = target.closest("[data-act]")?.dataset.act;
    if (act === "next") go(1);
    if (act === "previous") go(-1);
  });
  field.value ||= new URLSearchParams(location.search).get("q") ?? "";
  go(1);

  // On to the next or the previous match, or the first one from what is on the screen on.
  async function go(step) {
    const wanted = field.value;
    if (!wanted) return;
    if (wanted === words) place = (place + step + found.length) % Math.max(1, found.length);
    else if (!(await ask(wanted))) return;
    paint();
    if (found.length) goTo(found[place]);
  }

  async function ask(wanted) {
    setHidden(section.querySelector(".log-found"), false);
    setText(cells.found, "Searching…");
    try {
      const lines = [];
      let count = 1;
      isWhole = true;
      while (lines.length < count) {
        const query = new URLSearchParams({ q: wanted, limit: PAGE, offset: lines.length });
        const answer = await fetchJson(`/api/v1/jobs/${job}/log/search?${query}`);
        lines.push(...answer.items.map((item) => item.line));
        count = answer.items.length ? answer.count : 0;
        isWhole &&= answer.complete !== false;
      }
      [words, found] = [wanted, lines];
      place = Math.max(0, found.findIndex((line) => line >= from()));
      note(wanted);
      return true;
    } catch {
      setText(cells.found, "The search did not work; try again.");
      return false;
    }
  }

  function paint() {
    const total = found.length >= MOST ? `the first ${MOST}` : found.length;
    const where = isWhole ? "the whole log" : "the part that could be searched in time";
    if (!found.length) setText(cells.found, `No match in ${where}`);
    else setText(cells.found, `${place + 1} of ${total}${isWhole ? "" : `, in ${where}`}`);
  }

  function clear() {
    [words, found] = ["", []];
    setHidden(section.querySelector(".log-found"), true);
    note("");
  }
}

function note(words) {
  const url = new URL(location.href);
  if (words) url.searchParams.set("q", words);
  else url.searchParams.delete("q");
  history.replaceState(null, "", url);
}
