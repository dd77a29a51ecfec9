// The head of a job's page, which says its state on every tab: the server paints it again when the
// state has changed. `onLog(piece)` gets what the job prints, `onJob(job)` the job itself.

import { tick } from "./clock.js";
import { fetchJson, openLive } from "./live.js";
import { carry } from "./shell.js";

const NAMES = ["status", "reason", "detail", "waiting_reason", "estimated_start_at", "stop_requested_at", "exit_code", "granted_gpus"];
// Of tqdm, in text that is still raw: ` 63%|██████▎   |`.
const BAR = /(?:^|[^\d.])(\d{1,3})%\|/g;
const ALARMING = new Set(["failed", "lost"]);
const OVER = new Set([...ALARMING, "completed", "stopped"]);
export const jobId = document.getElementById("job-head").dataset.id;

export function follow({ onLog = () => {}, onJob = () => {} } = {}) {
  let last = null;
  let isOver = false;

  function hear(piece) {
    const percent = [...piece.text.matchAll(BAR)].at(-1)?.[1];
    if (percent && !isOver) carry(`${percent} %`, false);
    onLog(piece);
  }

  function show(job) {
    if (job.deleted) {
      location.assign(`/jobs/?deleted=${jobId}`);
      return;
    }
    const now = JSON.stringify(NAMES.map((name) => job[name]));
    isOver = OVER.has(job.status);
    if (isOver) carry(ALARMING.has(job.status) ? "⚠" : "", ALARMING.has(job.status));
    if (last !== now && !(last === null && job.status === painted().dataset.status)) refresh(job);
    last = now;
    onJob(job);
  }

  openLive({
    path: "/ws/live/",
    topics: [`job:${jobId}`],
    onEvent: ({ event, data }) => {
      if (data.job) show(data.job);
      if (event === "log") hear(data);
      else if (data.log) hear(data.log);
    },
    poll: async () => show(await fetchJson(`/api/v1/jobs/${jobId}`)),
    pollSeconds: 3,
  });
}

function painted() {
  return document.getElementById("job-head");
}

// Not while somebody is about to confirm, unless it would confirm something else. The pages of
// log and metrics have no htmx: there a press of a button is an ordinary post, which shows that it is under way.
async function refresh({ status }) {
  if (painted().dataset.status === status && painted().querySelector("details[open]")) return;
  const answer = await fetch(location.pathname).catch(() => null);
  if (!answer?.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const name of ["job-head", "job-tab"]) {
    const fresh = page.getElementById(name);
    if (!fresh || !document.getElementById(name)) continue;
    document.getElementById(name).replaceWith(fresh);
    window.htmx?.process(fresh);
  }
  tick();
}

if (!window.htmx) {
  document.addEventListener("submit", ({ target }) => {
    target.classList.add("htmx-request");
    setTimeout(() => target.querySelectorAll("button").forEach((button) => { button.disabled = true; }));
  });
}
