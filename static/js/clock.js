// What changes with time alone: "5 s ago", "up for", "next try in". Times are judged by the
// server's clock, of which the page knows how far the browser's is off.

import { duration } from "./format.js";

const offset = Date.parse(document.body.dataset.now) - Date.now();

export function serverNow() {
  return Date.now() + offset;
}

export function start() {
  tick();
  setInterval(() => document.hidden || tick(), 1000);
}

export function tick() {
  for (const element of document.querySelectorAll("time[data-ago]")) {
    write(element, ago(secondsSince(element.getAttribute("datetime"))));
  }
  for (const element of document.querySelectorAll("time[data-since]")) {
    write(element, duration(Math.max(0, secondsSince(element.dataset.since))));
  }
  for (const element of document.querySelectorAll("[data-countdown]")) {
    write(element, countdown(element.dataset.countdown));
  }
}

function ago(seconds) {
  if (Number.isNaN(seconds)) return "never";
  return seconds < 2 ? "now" : `${duration(seconds).split(" ")[0]} ago`;
}

function countdown(moment) {
  const left = -secondsSince(moment);
  if (Number.isNaN(left)) return "";
  return left > 0 ? `next try in ${duration(Math.ceil(left))}` : "trying now";
}

function secondsSince(moment) {
  return (serverNow() - Date.parse(moment)) / 1000;
}

function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
