// One socket that is opened again whenever it is lost, and HTTP in its place while that fails.
//
// The badge in the header says which: connected, reconnecting in n s, polling over HTTP, or stale
// since hh:mm. A hidden tab closes its socket and asks for the full state when it is seen again.

import { shortClock } from "./format.js";

const LIVE_PATH = "/ws/live/";
const LONGEST_WAIT_SECONDS = 30;
const FAILURES_BEFORE_POLLING = 3;
const HANDSHAKE_SECONDS = 10;
const HIDDEN_GRACE_SECONDS = 5;
const CLOSED_NO_LOGIN = 4401;
const CLOSED_WITHDRAWN = 4403;

const WORDS = {
  live: "Live",
  reconnecting: "Reconnecting",
  polling: "Polling over HTTP",
  stale: "Stale",
  ended: "Ended: reload the page",
};

// The page's own socket, on which others may follow further topics.
let shared = null;
let isReachable = true;

// Follow one more topic. What must not sleep with a hidden tab gets a socket of its own.
export function alsoLive(topic, onEvent, { sleeps = true } = {}) {
  if (sleeps && shared) shared.add(topic, onEvent);
  else openLive({ path: LIVE_PATH, topics: [topic], onEvent, poll: ping, pollSeconds: 10, shows: false, sleeps });
}

// onEvent({topic, event, data}) gets every message; poll() fetches the same over HTTP and rejects
// when it cannot; onLost() is called once when neither works.
// `origin` is another site's, for a page that shows that site's machine.
export function openLive({
  path, origin = location.origin, topics = [], onEvent, poll, pollSeconds = 3, onLost = () => {}, shows = true, sleeps = true,
}) {
  const seen = new Map();
  const others = new Map(); // topic → who else follows it
  let socket = null;
  let failures = 0;
  let waitUntil = 0;
  let polling = null;
  let ended = false;
  let lastData = new Date();
  let hiding = null;
  let wasOpen = false;

  function tell(state, more) {
    if (shows) show(state, more);
  }

  function open() {
    const own = new WebSocket(origin.replace(/^http/, "ws") + path);
    const handshake = setTimeout(() => own.close(), HANDSHAKE_SECONDS * 1000);
    socket = own;
    waitUntil = 0;
    seen.clear();
    own.onopen = () => {
      clearTimeout(handshake);
      if (wasOpen) document.dispatchEvent(new Event("reopened"));
      wasOpen = true;
      const names = [...topics, ...others.keys()];
      if (names.length) send("subscribe", names);
    };
    own.onmessage = (message) => receive(JSON.parse(message.data));
    own.onclose = (event) => {
      clearTimeout(handshake);
      if (socket === own) closed(event.code);
    };
  }

  function send(action, names) {
    if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ action, topics: names }));
  }

  function receive(message) {
    failures = 0;
    stopPolling();
    tell("live");
    lastData = new Date();
    reach(true);
    if (!topics.length) return onEvent({ topic: "", event: "sample", data: message });
    const { topic, event, seq } = message;
    const expected = seen.get(topic);
    seen.set(topic, seq + 1);
    if (event !== "state" && expected !== undefined && seq !== expected) {
      // Something is missing: the first answer to a new subscription is the full state.
      seen.delete(topic);
      send("unsubscribe", [topic]);
      send("subscribe", [topic]);
      return undefined;
    }
    return (others.get(topic) ?? onEvent)(message);
  }

  function closed(code) {
    socket = null;
    if (ended || hiding === "hidden") return;
    if (code === CLOSED_NO_LOGIN) leaveIfLoggedOut();
    if (code === CLOSED_WITHDRAWN) return end();
    failures += 1;
    // Half of the wait is random, so that a thousand tabs do not come back in the same second.
    const wait = Math.min(LONGEST_WAIT_SECONDS, 2 ** (failures - 1));
    waitUntil = Date.now() + wait * 500 * (1 + Math.random());
    if (failures >= FAILURES_BEFORE_POLLING && poll) startPolling();
    return step();
  }

  // Every quarter of a second while there is no socket: count down, then try.
  function step() {
    if (ended || socket || hiding === "hidden") return;
    const left = Math.ceil((waitUntil - Date.now()) / 1000);
    if (left <= 0) {
      open();
      return;
    }
    if (!polling) tell("reconnecting", `in ${left} s`);
    setTimeout(step, 250);
  }

  function startPolling() {
    if (polling) return;
    const ask = async () => {
      try {
        await poll();
        lastData = new Date();
        reach(true);
        if (polling) tell("polling");
      } catch {
        if (!polling) return;
        tell("stale", `since ${shortClock(lastData)}`);
        if (origin === location.origin) reach(false, lastData);
        onLost();
      }
    };
    polling = setInterval(ask, pollSeconds * 1000);
    ask();
  }

  function stopPolling() {
    clearInterval(polling);
    polling = null;
  }

  // The login page sends a person who is logged in straight back: only who is not goes there.
  async function leaveIfLoggedOut() {
    const answer = await fetch("/api/v1/connections?limit=1").catch(() => null);
    if (answer?.status !== 401) return;
    ended = true;
    location.assign(`/accounts/login/?next=${encodeURIComponent(location.pathname + location.search)}`);
  }

  function end() {
    ended = true;
    stopPolling();
    tell("ended");
  }

  function hide() {
    hiding = "hidden";
    stopPolling();
    socket?.close();
    socket = null;
  }

  document.addEventListener("visibilitychange", () => {
    if (!sleeps) return;
    if (document.hidden) {
      hiding = setTimeout(hide, HIDDEN_GRACE_SECONDS * 1000);
      return;
    }
    const wasClosed = hiding === "hidden";
    if (!wasClosed) clearTimeout(hiding);
    hiding = null;
    if (wasClosed && !ended) open();
  });
  window.addEventListener("offline", () => socket?.close());
  window.addEventListener("online", () => { waitUntil = 0; });
  window.addEventListener("pagehide", () => { ended = true; socket?.close(); });
  window.addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    ended = false;
    open();
  });
  if (path === LIVE_PATH && shows) {
    shared = {
      add(topic, follow) {
        others.set(topic, follow);
        send("subscribe", [topic]);
      },
    };
  }
  open();
}

// Tells the shell, once, that the site is gone, and once that it is back.
function reach(isThere, since = null) {
  if (isThere === isReachable) return;
  isReachable = isThere;
  document.dispatchEvent(new CustomEvent("reach", { detail: { isThere, since } }));
}

function ping() {
  return fetchJson("/version");
}

// A JSON answer of the API, or a rejection. Another site's is asked for with the login there.
export async function fetchJson(address) {
  const answer = await fetch(address, { headers: { Accept: "application/json" }, credentials: "include" });
  if (!answer.ok) throw new Error(String(answer.status));
  return answer.json();
}

function show(state, more = "") {
  const badge = document.getElementById("live");
  if (!badge) return;
  badge.dataset.state = state;
  const word = badge.querySelector("[data-live-word]");
  if (word.textContent !== WORDS[state]) word.textContent = WORDS[state];
  badge.querySelector("[data-live-more]").textContent = more;
}
