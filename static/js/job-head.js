// The head of a job's page, which says its state on every tab: the server paints it again when the
// state has changed. `onLog(piece)` gets what the job prints, `onJob(job)` the job itself.

import { fetchJson, openLive } from "./live.js";
import { carry } from "./shell.js";

const NAMES = ["status", "reason", "detail", "waiting_reason", "estimated_start_at", "stop_requested_at", "exit_code", "granted_gpus"];
const ALARMING = new Set(["failed", "lost"]);
export const jobId = document.getElementById("job-head").dataset.id;

export function follow({ onLog = () => {}, onJob = () => {} } = {}) {
  let last = null;

  function show(job) {
    if (job.deleted) {
      location.assign(`/jobs/?deleted=${jobId}`);
      return;
    }
    const now = JSON.stringify(NAMES.map((name) => job[name]));
    carry(ALARMING.has(job.status) ? "⚠" : "", ALARMING.has(job.status));
    if (last !== now && !(last === null && job.status === painted().dataset.status)) refresh(job);
    last = now;
    onJob(job);
  }

  openLive({
    path: "/ws/live/",
    topics: [`job:${jobId}`],
    onEvent: ({ event, data }) => {
      if (data.job) show(data.job);
      if (event === "log") onLog(data);
      else if (data.log) onLog(data.log);
    },
    poll: async () => show(await fetchJson(`/api/v1/jobs/${jobId}`)),
    pollSeconds: 3,
  });
}

function painted() {
  return document.getElementById("job-head");
}

// Not while somebody is about to confirm, unless it would confirm something else.
function refresh({ status }) {
  const head = painted();
  if (head.dataset.status === status && head.querySelector("details[open]")) return;
  for (const name of ["job-head", "job-tab"]) {
    if (document.getElementById(name)) {
      window.htmx.ajax("GET", location.href, { target: `#${name}`, select: `#${name}`, swap: "outerHTML" });
    }
  }
}
