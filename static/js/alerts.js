// The Alerts page: what fires is painted anew when something is told, and every half minute.

import { alsoLive } from "./live.js";

const SECONDS = 30;
const active = document.getElementById("active");

// By then the bell has opened its socket, which is shared.
document.addEventListener("DOMContentLoaded", () => {
  alsoLive("notifications", ({ event }) => event === "notification" && refresh());
});
setInterval(() => document.hidden || refresh(), SECONDS * 1000);

// Not under somebody's fingers: who is about to press a button presses what they see.
function refresh() {
  if (active.contains(document.activeElement)) return;
  window.htmx.ajax("GET", active.dataset.url, { target: active, swap: "innerHTML" });
}
