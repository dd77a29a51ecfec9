// The connection tab: when the state changes, the server paints the tab again.

import { machineId, showAlerts, showHead } from "./head.js";
import { fetchJson, openLive } from "./live.js";

const id = machineId;
let last = null;

openLive({
  path: "/ws/live/",
  topics: [`connection:${id}`],
  onEvent: ({ event, data }) => {
    if (event === "state" || event === "status") show(data.connection);
    else if (event === "alert") showAlerts();
  },
  poll: async () => show(await fetchJson(`/api/v1/connections/${id}`)),
  pollSeconds: 3,
});

function show(connection) {
  if (connection.deleted) {
    location.assign(`/?deleted=${connection.id}`);
    return;
  }
  showHead(connection);
  const names = ["status", "reason", "detail", "retry_at", "is_active", "host_key", "offered_host_key", "updated_at"];
  const now = JSON.stringify(names.map((name) => connection[name]));
  const tab = document.getElementById("connection");
  if (last !== null && last !== now && tab && !tab.contains(document.activeElement?.closest("input"))) {
    window.htmx.trigger(tab, "refresh");
  }
  last = now;
}
