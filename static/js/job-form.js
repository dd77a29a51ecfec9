// The form of a new job shows the exact command for what stands in it, as the server makes it.

const QUIET_MS = 400;
const form = document.querySelector(".job-form");
const place = document.getElementById("preview-command");
let waiting = 0;
let running = null;

form.addEventListener("input", later);
form.addEventListener("change", later);
show();

function later() {
  clearTimeout(waiting);
  waiting = setTimeout(show, QUIET_MS);
}

async function show() {
  running?.abort();
  running = new AbortController();
  const { signal } = running;
  const answer = await fetch(place.dataset.url, { method: "POST", body: new FormData(form), signal }).catch(() => null);
  if (answer?.ok) window.htmx.swap(place, await answer.text(), { swapStyle: "innerHTML" });
}
