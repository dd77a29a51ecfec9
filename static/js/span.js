// Which window of time a page shows, as its address says it: a named range, or a start and an end –
// without an end it goes on until now –, and a zoom into either. Times are seconds since 1970. Only
// `go` and `follow` do something: they change the address, and hear of its changes.

const DAY = 86400;
export const RANGES = { "1h": 3600, "6h": 6 * 3600, "24h": DAY, "7d": 7 * DAY, "30d": 30 * DAY, "12m": 365 * DAY };
const NAMES = { "1h": "Last hour", "6h": "Last 6 hours", "24h": "Last 24 hours", "7d": "Last 7 days", "30d": "Last 30 days", "12m": "Last 12 months" };
// Widths of a point that read well; the first that keeps a chart below MOST points is taken.
const STEPS = [20, 60, 120, 180, 300, 600, 1200, 1800, 3600, 2 * 3600, 6 * 3600, 12 * 3600, DAY, 7 * DAY];
const MOST = 480;
const LEAST_SECONDS = 60; // three windows of readings

// {range, from, to, zoom: [from, to] | null, gpu, shown: Set | null, table}
export function read(search, preferred) {
  const query = new URLSearchParams(search);
  const [from, to] = [seconds(query.get("start")), seconds(query.get("end"))];
  const isOwn = from < to || (!Number.isNaN(from) && !query.get("end"));
  const wanted = query.get("range");
  return {
    range: isOwn ? null : wanted in RANGES ? wanted : preferred,
    from: isOwn ? from : null,
    to: from < to ? to : null,
    zoom: pair(query.get("zoom")),
    gpu: /^\d+$/.test(query.get("gpu") ?? "") ? query.get("gpu") : null,
    shown: query.get("show") ? new Set(query.get("show").split(",")) : null,
    table: query.get("table") === "1",
  };
}

function pair(text) {
  const [from, to] = (text ?? "").split("/").map(seconds);
  return from < to ? [from, to] : null;
}

function seconds(text) {
  return Date.parse(text) / 1000;
}

// The whole second is enough, and keeps the address short.
export function text(moment) {
  return `${new Date(Math.round(moment) * 1000).toISOString().slice(0, 19)}Z`;
}

// The shown window, [from, to]; a named range ends now.
export function bounds(state, now) {
  if (state.zoom) return state.zoom;
  return state.range ? [now - RANGES[state.range], now] : [state.from, state.to ?? Math.max(now, state.from + 1)];
}

// Whether what is shown goes on: a window that ends now, without a zoom into it.
export function isLive(state) {
  return state.to === null && state.zoom === null;
}

// The same window a part of its length earlier or later, not beyond now.
export function moved([from, to], part, now) {
  const by = Math.min((to - from) * part, Math.max(0, now - to));
  return [from + by, to + by];
}

// A window of some points' length at least, around what was asked for.
export function roomy(from, to) {
  const missing = Math.max(0, LEAST_SECONDS - (to - from)) / 2;
  return [from - missing, to + missing];
}

// What is asked of the API: windows are widened to whole points, so that a point is a round time.
export function query(state, now, most = MOST) {
  const [from, to] = bounds(state, now);
  const step = STEPS.find((one) => (to - from) / one <= most) ?? STEPS.at(-1);
  const asked = new URLSearchParams();
  if (isLive(state) && state.range) {
    asked.set("range", state.range);
    asked.set("max_points", Math.ceil(RANGES[state.range] / step));
  } else {
    const [start, end] = [Math.floor(from / step) * step, Math.ceil(to / step) * step];
    asked.set("start", text(start));
    asked.set("end", text(end));
    asked.set("max_points", (end - start) / step);
  }
  if (state.gpu !== null) asked.set("gpu", state.gpu);
  return asked;
}

export function name(state, stamp) {
  if (isLive(state)) return state.range ? NAMES[state.range] : `Since ${stamp(new Date(state.from * 1000))}`;
  const [from, to] = bounds(state, 0).map((moment) => stamp(new Date(moment * 1000)));
  return `${from} – ${to}`;
}

// The address with some of its parameters changed; an empty value takes one away, several values
// stand one after the other.
export function address(changes) {
  const url = new URL(location.href);
  for (const [key, value] of Object.entries(changes)) {
    if (Array.isArray(value)) {
      url.searchParams.delete(key);
      for (const one of value) url.searchParams.append(key, one);
    } else if (value === "" || value === null) url.searchParams.delete(key);
    else url.searchParams.set(key, value);
  }
  // Colons and slashes may stand in a query; escaped, a window is hard to read.
  url.search = url.search.replaceAll("%3A", ":").replaceAll("%2F", "/").replaceAll("%2C", ",");
  return url.href;
}

// A step of its own in the person's history, or in place of the last one.
export function go(wanted, { isStep = true } = {}) {
  if (wanted === location.href) return;
  if (isStep) history.pushState(null, "", wanted);
  else history.replaceState(history.state, "", wanted);
  again();
}

// The same address, looked at once more: what it shows ends now, and now is later.
export function again() {
  dispatchEvent(new Event("address"));
}

// Every section that the address places follows it, whoever changed it.
export function follow(handler) {
  for (const name of ["address", "popstate"]) addEventListener(name, handler);
}
