// Taking the shown range away, and putting it here and on the machine. The links and the form work
// without this module; with it nobody leaves the page, and what went wrong is said on it.

import { serverNow } from "./clock.js";
import { setAttribute, setHidden, setText } from "./dom.js";
import * as span from "./span.js";
import { toast } from "./toast.js";

const NAMED = ["24h", "7d", "30d", "12m"]; // the ranges that have a file of their own
const BADGE_SECONDS = 5;
const NAMES = { local: "Local", remote: "DGX" };

const bar = document.getElementById("export-bar");
const api = `/api/v1/connections/${bar.dataset.id}`;
const menu = bar.querySelector("[data-part=menu]");
const summary = menu.querySelector("summary");
const label = menu.querySelector("[data-v=label]");
const dual = bar.querySelector("[data-part=dual]");
const badges = bar.querySelector("[data-part=badges]");
let isBusy = false;
let hiding = 0;

menu.addEventListener("click", (event) => {
  if (isBusy) event.preventDefault(); // also keeps the menu shut
  const link = event.target.closest("[data-format]");
  if (!link) return;
  event.preventDefault();
  menu.open = false;
  if (!isBusy) take(link.dataset.format);
});
bar.dataset.ready = "";
dual?.addEventListener("submit", (event) => {
  event.preventDefault();
  if (!isBusy) store();
});

// What the charts show, as their address says it: a named range, or a window of its own.
function question() {
  const shown = span.read(location.search, document.body.dataset.range);
  const asked = new URLSearchParams();
  if (!shown.zoom && NAMED.includes(shown.range)) {
    asked.set("range", shown.range);
  } else {
    const [from, to] = span.bounds(shown, serverNow() / 1000);
    asked.set("start", span.text(from));
    asked.set("end", span.text(to));
  }
  if (shown.gpu !== null) asked.set("gpu", shown.gpu);
  return asked;
}

async function take(format) {
  busy("Exporting…");
  try {
    const asked = question();
    asked.set("format", format);
    const answer = await fetch(`${api}/metrics/export?${asked}`, { credentials: "include" });
    if (!answer.ok) throw new Error(await reason(answer));
    save(await answer.blob(), nameOf(answer));
  } catch (error) {
    toast(error.message || "The site does not answer.", "error");
  } finally {
    idle();
  }
}

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

function nameOf(answer) {
  const header = answer.headers.get("Content-Disposition") ?? "";
  return /filename="([^"]+)"/.exec(header)?.[1] ?? "export";
}

async function store() {
  busy("Exporting…", dual.querySelector("[data-v=dual]"));
  setHidden(badges, true);
  try {
    const answer = await fetch(`${api}/exports`, {
      method: "POST",
      credentials: "include",
      headers: {
        "Content-Type": "application/json",
        "X-CSRFToken": dual.querySelector("[name=csrfmiddlewaretoken]").value,
      },
      body: "{}",
    });
    if (!answer.ok) throw new Error(await reason(answer));
    show(await answer.json());
  } catch (error) {
    toast(error.message || "The site does not answer.", "error");
  } finally {
    idle();
  }
}

// Two badges for five seconds; a reason stays as a toast until it is closed.
function show(made) {
  for (const side of ["local", "remote"]) {
    const { ok, error } = made[side];
    const badge = badges.querySelector(`[data-side=${side}]`);
    setText(badge, `${NAMES[side]} ${ok ? "✓" : "✗"}`);
    setAttribute(badge, "class", `badge ${ok ? "export-ok" : "export-bad"}`);
    setAttribute(badge, "title", error ?? made[side].path ?? "");
    if (!ok) toast(`${NAMES[side]}: ${error}`, "error");
  }
  setHidden(badges, false);
  clearTimeout(hiding);
  hiding = setTimeout(() => setHidden(badges, true), BADGE_SECONDS * 1000);
}

async function reason(answer) {
  try {
    return (await answer.json()).detail;
  } catch {
    return `That did not work (${answer.status}).`;
  }
}

function busy(text, where = label) {
  isBusy = true;
  where.dataset.idle = where.textContent;
  setText(where, text);
  setAttribute(summary, "aria-disabled", "true");
  for (const button of bar.querySelectorAll("button")) button.disabled = true;
}

function idle() {
  isBusy = false;
  for (const text of bar.querySelectorAll("[data-idle]")) {
    setText(text, text.dataset.idle);
    delete text.dataset.idle;
  }
  summary.removeAttribute("aria-disabled");
  for (const button of bar.querySelectorAll("button")) button.disabled = false;
}
