// Numbers as people read them; core/formats.py says the same on the server.
// Values come in base units (bytes, watts, percent); an absent one is an em dash, never a zero.

export const ABSENT = "—";
const BINARY = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
const DECIMAL = ["B/s", "kB/s", "MB/s", "GB/s", "TB/s"];
const LENGTHS = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];

export function number(value, digits = 0) {
  if (value === null || value === undefined) return ABSENT;
  const [whole, fraction] = value.toFixed(digits).split(".");
  const spaced = whole.replace(/\B(?=(\d{3})+$)/g, "\u2009");
  return fraction ? `${spaced}.${fraction}` : spaced;
}

export function quantity(value, unit, digits = 0) {
  return value === null || value === undefined ? ABSENT : `${number(value, digits)}\u00a0${unit}`;
}

export const percent = (value) => quantity(value, "%");
export const celsius = (value) => quantity(value, "°C");
export const watts = (value) => quantity(value, "W");

export function size(value) {
  if (value === null || value === undefined) return ABSENT;
  const power = powerOf(value, 1024, BINARY.length);
  return quantity(value / 1024 ** power, BINARY[power], power >= 3 ? 1 : 0);
}

export function sizePair(used, total) {
  if (used === null || total === null) return size(used ?? total);
  const power = powerOf(total, 1024, BINARY.length);
  const digits = power >= 3 ? 1 : 0;
  return `${number(used / 1024 ** power, digits)} / ${quantity(total / 1024 ** power, BINARY[power], digits)}`;
}

export function rate(value) {
  if (value === null || value === undefined) return ABSENT;
  const power = powerOf(value, 1000, DECIMAL.length);
  return quantity(value / 1000 ** power, DECIMAL[power], power ? 1 : 0);
}

export function duration(seconds) {
  let rest = Math.floor(seconds);
  const parts = [];
  for (const [unit, length] of LENGTHS) {
    const count = Math.floor(rest / length);
    rest -= count * length;
    if (count || parts.length || unit === "s") parts.push(`${count}\u00a0${unit}`);
  }
  return parts.slice(0, 2).join(" ");
}

export function share(used, total) {
  return used === null || !total ? null : (100 * used) / total;
}

export function level(value, medium = 50, high = 80) {
  if (value === null || value === undefined) return "none";
  if (value < medium) return "normal";
  return value <= high ? "elevated" : "high";
}

// Times stand in the zone that the person has chosen, as the server writes them.
export function stamp(date) {
  return `${day(date)} ${clock(date)}`;
}

export function day(date) {
  return date.toLocaleDateString("sv", { timeZone: document.body.dataset.zone });
}

export function clock(date) {
  return date.toLocaleTimeString("sv", { timeZone: document.body.dataset.zone });
}

export function shortClock(date) {
  return clock(date).slice(0, 5);
}

function powerOf(value, base, units) {
  let power = 0;
  while (power < units - 1 && Math.abs(value) >= base ** (power + 1)) power += 1;
  return power;
}
