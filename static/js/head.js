// The head of a machine's page, which says its state on every tab.

import { setAttribute, setText } from "./dom.js";
import { carry, showSwitch } from "./shell.js";

const head = document.getElementById("machine");
export const machineId = head.dataset.id;

export function showHead(connection) {
  const pill = head.querySelector("[data-part=state]");
  setAttribute(pill, "data-status", connection.status);
  setAttribute(pill, "data-reason", connection.reason ?? "");
  const stale = connection.reason === "stale" ? ", stale" : "";
  setText(pill.querySelector("[data-v=status]"), connection.status + stale);
  showSwitch(document, connection.is_active);
  carry(connection.reason ? "⚠" : "", connection.status === "error");
}

// What fires here, and how long memory lasts, as the server paints it.
export function showAlerts() {
  const area = document.getElementById("machine-alerts");
  if (area.contains(document.activeElement)) return;
  window.htmx.ajax("GET", area.dataset.url, { target: area, swap: "innerHTML" });
}
