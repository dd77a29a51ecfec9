// A list of jobs is painted again every few seconds while something in it goes on, and at once after
// a press of a button; never under the hands of who is using it. What is ticked stays ticked.

const SECONDS = 5;
const list = document.getElementById("jobs");

if (list) {
  setInterval(() => isAtRest() && refresh(), SECONDS * 1000);
  list.addEventListener("htmx:afterRequest", refresh);
}

function isAtRest() {
  const goesOn = list.querySelector("[data-goes-on=yes]") !== null;
  return goesOn && !document.hidden && !list.contains(document.activeElement) && !list.querySelector("details[open]");
}

async function refresh() {
  const answer = await fetch(list.dataset.url, { headers: { "HX-Request": "true" } }).catch(() => null);
  if (!answer?.ok) return;
  const rows = await answer.text();
  const ticked = new Set(ticks().filter((box) => box.checked).map((box) => box.value));
  window.htmx.swap(list, rows, { swapStyle: "innerHTML" });
  for (const box of ticks()) box.checked = ticked.has(box.value);
}

function ticks() {
  return [...list.querySelectorAll("[name=job]")];
}
