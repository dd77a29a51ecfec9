// The viewer of a job's log. It follows the end until the reader looks elsewhere, keeps a window of
// lines in the page, and fetches what lies beyond it. What arrives is drawn once per frame.

import { serverNow } from "./clock.js";
import { parts, setAttribute, setHidden, setText } from "./dom.js";
import { number } from "./format.js";
import { follow as followJob, jobId } from "./job-head.js";
import { fetchJson } from "./live.js";
import { MOST, windowOf } from "./log-lines.js";
import { linesOf, streamOf } from "./log-stream.js";
import { toast } from "./toast.js";

const NEAR = 600; // pixels from an edge at which more is fetched
const FAR = 2 * 2 ** 20; // bytes behind at which the end is read anew
const TOLD_SECONDS = 10;
const REMEMBERED = { times: "off", wrap: "on", colour: "on" };

const section = document.getElementById("log");
const box = section.querySelector(".log-lines");
const cells = parts(section);
const act = (name) => section.querySelector(`[data-act=${name}]`);
const choices = Object.fromEntries(Object.entries(REMEMBERED).map(([name, usual]) => [name, localStorage.getItem(`log-${name}`) ?? usual]));
const lines = windowOf(box, () => choices.colour === "on");

let stream = null; // null while the window does not reach to the end
let isFollowing = false;
let isOver = false;
let fresh = 0; // lines that came since the reader looked elsewhere
let told = 0; // of them, those a screen reader has heard of
let waiting = []; // lines for the next frame
let frame = 0;
let loading = false;
let lastTop = 0;

begin();

function begin() {
  const facts = JSON.parse(section.dataset.facts);
  const text = box.querySelector("pre").textContent;
  const part = { ...facts, texts: facts.count ? text.split("\n") : [] };
  for (const name of Object.keys(REMEMBERED)) choose(name, choices[name]);
  show(part);
  const wanted = lineInAddress();
  if (wanted) goTo(wanted);
  else newest();
  followJob({ onLog: receive, onJob: noteEnd });
  box.addEventListener("scroll", scrolled, { passive: true });
  box.addEventListener("wheel", (event) => event.deltaY < 0 && yieldToReader(), { passive: true });
  section.addEventListener("click", clicked);
  document.addEventListener("keydown", pressed);
  window.addEventListener("hashchange", () => lineInAddress() && goTo(lineInAddress()));
  new ResizeObserver(() => isFollowing && toEnd()).observe(box);
  setInterval(tell, TOLD_SECONDS * 1000);
  section.querySelector(".log-search").addEventListener("submit", search);
  if (new URLSearchParams(location.search).has("q")) search();
}

// Lines of the server in place of those that are here.
function show(part) {
  waiting = [];
  lines.replace(linesOf(part));
  stream = part.is_end ? streamOf(jobId, part, serverNow, arrived) : null;
  paintState();
}

function receive(piece) {
  if (!stream) {
    fresh += piece.text.split("\n").length - 1;
    schedule();
    return;
  }
  stream.receive(piece).catch(() => {}); // the next piece tries again
  if (stream.behind > FAR) (isFollowing ? load("") : Promise.resolve()).then(() => isFollowing || leaveEnd());
}

function arrived(found, complete) {
  fresh += complete;
  const open = waiting.at(-1);
  if (open && found[0]?.number === open.number) waiting.pop();
  waiting.push(...found);
  schedule();
}

function schedule() {
  frame ||= requestAnimationFrame(draw);
}

function draw() {
  frame = 0;
  const room = isFollowing ? MOST : MOST - lines.length;
  if (!isFollowing && waiting.length > room + 1) leaveEnd();
  else if (waiting.length > MOST) lines.replace(waiting.slice(-MOST));
  else lines.append(waiting);
  waiting = [];
  if (isFollowing) {
    lines.trimStart();
    toEnd();
  }
  paintState();
}

// The window is full and being read: it stays as it is, and the end is fetched when it is wanted.
function leaveEnd() {
  stream = null;
  waiting = [];
}

function toEnd() {
  box.scrollTop = box.scrollHeight;
  lastTop = box.scrollTop;
}

async function newest() {
  setFollowing(true);
  if (!stream) await load("");
  fresh = 0;
  toEnd();
  paintState();
}

function setFollowing(on) {
  isFollowing = on;
  if (!on) return;
  fresh = 0;
  told = 0;
}

function yieldToReader() {
  if (!isFollowing) return;
  setFollowing(false);
  paintState();
}

function scrolled() {
  const isUp = box.scrollTop < lastTop;
  const below = box.scrollHeight - box.scrollTop - box.clientHeight;
  lastTop = box.scrollTop;
  if (isUp && below > 4) yieldToReader();
  else if (!isUp && below <= 4 && stream && !isFollowing) newest();
  if (box.scrollTop < NEAR && lines.first > 1) load(`before=${lines.first}`);
  else if (below < NEAR && !stream) load(`after=${lines.last}`);
}

// More lines from the server; at the other end as many go as the window cannot hold.
async function load(question) {
  if (loading) return;
  loading = true;
  try {
    const part = await fetchJson(`${section.dataset.lines}?${question}`);
    if (question.startsWith("before")) putBefore(part);
    else if (question.startsWith("after")) putAfter(part);
    else show(part);
  } catch {
    toast("The lines could not be read; scroll to try again.", "error");
  } finally {
    loading = false;
  }
  paintState();
}

function putBefore(part) {
  const height = box.scrollHeight;
  lines.prepend(linesOf(part));
  box.scrollTop += box.scrollHeight - height;
  lastTop = box.scrollTop;
  if (lines.trimEnd()) leaveEnd();
}

function putAfter(part) {
  lines.append(linesOf(part));
  const height = box.scrollHeight;
  if (lines.trimStart()) box.scrollTop -= height - box.scrollHeight;
  lastTop = box.scrollTop;
  if (part.is_end) stream = streamOf(jobId, part, serverNow, arrived);
}

async function goTo(wanted) {
  setFollowing(false);
  if (!lines.find(wanted)) await load(`around=${wanted}`);
  const line = lines.find(wanted) ?? box.lastElementChild;
  box.querySelector(".line-hit")?.classList.remove("line-hit");
  line?.classList.add("line-hit");
  if (line) box.scrollTop = line.offsetTop - (box.clientHeight - line.offsetHeight) / 2;
  lastTop = box.scrollTop;
  paintState();
}

// Fetched when somebody searches; from then on it listens itself.
async function search(event) {
  event?.preventDefault();
  section.querySelector(".log-search").removeEventListener("submit", search);
  const { searchOf } = await import("./log-search.js");
  searchOf(section, { job: jobId, goTo, from: firstVisible });
}

function lineInAddress() {
  return Number(/^#L(\d+)$/.exec(location.hash)?.[1] ?? 0);
}

function firstVisible() {
  const top = box.getBoundingClientRect().top;
  const found = [...box.children].find((line) => line.getBoundingClientRect().bottom > top);
  return Number(found?.id.slice(1) ?? 0);
}

function clicked(event) {
  const toggle = event.target.closest("[data-toggle]")?.dataset.toggle;
  if (toggle === "follow") (isFollowing ? yieldToReader : newest)();
  else if (toggle) choose(toggle, choices[toggle] === "on" ? "off" : "on");
  const button = event.target.closest("[data-act]");
  if (button === act("newest")) newest().then(() => box.focus());
  if (button === act("copy")) button.dataset.copy = chosenText();
  const link = event.target.closest("a.line-number");
  if (link && link.hash === location.hash) goTo(lineInAddress());
}

// What is selected in the log, else all lines that are here; the shell copies.
function chosenText() {
  const selection = getSelection();
  return selection.isCollapsed || !box.contains(selection.anchorNode) ? lines.text() : selection.toString();
}

function pressed(event) {
  const isTyping = event.target.closest("input, textarea, select, dialog");
  if (event.key !== "End" || isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  newest();
}

function choose(name, value) {
  choices[name] = value;
  localStorage.setItem(`log-${name}`, value);
  section.dataset[name] = value;
  setAttribute(section.querySelector(`[data-toggle=${name}]`), "aria-pressed", String(value === "on"));
  if (name === "colour") lines.repaint();
  if (isFollowing) toEnd();
}

function noteEnd(job) {
  isOver = ["completed", "failed", "stopped", "lost"].includes(job.status);
  if (stream) stream.poll(job.log_bytes).catch(() => {});
  paintState();
}

function paintState() {
  setAttribute(section.querySelector("[data-toggle=follow]"), "aria-pressed", String(isFollowing));
  setHidden(act("newest"), isFollowing || (!fresh && Boolean(stream) && isOver));
  setText(cells.jump, fresh ? `Jump to newest (${number(fresh)} new)` : "Jump to newest");
  setHidden(section.querySelector(".log-empty"), lines.length > 0);
  const range = lines.length ? `Lines ${number(lines.first)} – ${number(lines.last)}` : "No lines";
  const state = isOver ? "the job has ended" : isFollowing ? "following" : "not following";
  setText(cells.words, `${range}${stream ? "" : ", more follow"} · ${state}`);
}

// For screen readers, a summary now and then instead of every line.
function tell() {
  if (fresh === told) return;
  const count = fresh - told;
  if (count > 0) setText(cells.summary, `${count} new line${count === 1 ? "" : "s"}`);
  told = fresh;
}
