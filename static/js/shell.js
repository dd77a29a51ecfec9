// What every page of a logged-in person does: menus, copy buttons, toasts, times, the switch, the
// bell, keys, the tab's title, and what it says when the site is gone or is a newer one.

import * as clock from "./clock.js";
import { setAttribute, setHidden, setText } from "./dom.js";
import { shortClock } from "./format.js";
import { alsoLive } from "./live.js";
import { armExisting, toast } from "./toast.js";

const LEVELS = { warning: "warning", critical: "error" };
const bell = document.getElementById("bell");
// Set by desktop.js, where the person asks for it.
const isDesktop = localStorage.getItem("desktop-notifications") === "on";

// The title without what the server put before it.
const title = document.title.replace(/^(\d+ )?⚠ · /, "");
// Keys without Ctrl; a person may turn them off.
const SINGLE_KEYS = { "/": filter, "?": () => import("./shortcuts.js").then(open) };

clock.start();
armExisting();

document.addEventListener("click", ({ target }) => {
  closeMenus(target);
  const button = target.closest("[data-copy]");
  if (button) copy(button);
  if (target.closest("[data-palette]")) palette();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") closeMenus(document.body, true);
  else press(event);
});
// From live.js: nothing answers any more, or something does again; a socket that came back.
document.addEventListener("reach", ({ detail: { isThere, since } }) => {
  const text = `The site does not answer. What you see is from ${since && shortClock(since)}; it is tried again by itself.`;
  setText(document.getElementById("lost"), isThere ? "" : text);
});
document.addEventListener("reopened", () => import("./version.js").then((version) => version.check()));
// By then the page has opened its own socket, which the bell shares.
document.addEventListener("DOMContentLoaded", () => {
  if (bell) alsoLive("notifications", ring, { sleeps: !isDesktop });
});
// htmx swaps bring new times.
document.body.addEventListener("htmx:afterSettle", clock.tick);
// A service answered: `toast` in words, `wish` with what a machine shall be from now on.
document.body.addEventListener("toast", (event) => toast(event.detail.text, event.detail.level));
document.body.addEventListener("wish", (event) => {
  for (const scope of document.querySelectorAll(`[data-id="${event.detail.id}"]`)) {
    showSwitch(scope.closest("tr") ?? document, event.detail.is_active);
  }
  toast(event.detail.is_active ? "Connecting." : "Disconnecting.");
});
document.body.addEventListener("htmx:sendError", () => toast("The site does not answer.", "error"));
document.body.addEventListener("htmx:responseError", (event) => {
  const { status } = event.detail.xhr;
  if (status === 403) toast("That was refused: log in again or ask for the role.", "error");
  else toast(`That did not work (${status}).`, "error");
});

export function showSwitch(scope, isActive) {
  for (const form of scope.querySelectorAll("[data-switch]")) {
    const hide = (form.dataset.switch === "on") === isActive;
    if (form.hidden === hide) continue;
    const hadFocus = form.contains(document.activeElement);
    form.hidden = hide;
    if (hadFocus) form.parentElement.querySelector("[data-switch]:not([hidden]) button")?.focus();
  }
}

function closeMenus(target, withFocus = false) {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (menu.contains(target)) continue;
    menu.open = false;
    if (withFocus) menu.querySelector("summary").focus();
  }
}

async function copy(button) {
  try {
    await toClipboard(button.dataset.copy);
  } catch {
    toast("The browser does not allow copying here; select the text instead.", "error");
    return;
  }
  toast("Copied.");
  button.dataset.done = "";
  setTimeout(() => delete button.dataset.done, 1500);
}

// The clipboard API needs HTTPS or localhost; a site in the lab often has neither.
async function toClipboard(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "visually-hidden";
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  if (!done) throw new Error("refused");
}

// How much is unread; a toast or, in a hidden tab, a desktop notification for what is new.
function ring({ event, data }) {
  if (event === "error") return;
  bell.dataset.live = ""; // the count is followed from here on
  const number = bell.querySelector("[data-v=count]");
  setText(number, data.unread > 99 ? "99+" : String(data.unread));
  setHidden(number.parentElement, data.unread === 0);
  if (event === "notification") announce(data.notification, data.quiet);
}

function announce(one, quiet) {
  if (!document.hidden) return toast(one.title, LEVELS[one.severity]);
  if (quiet || !isDesktop || window.Notification?.permission !== "granted") return undefined;
  // The same tag from several tabs shows one notification.
  const shown = new Notification(one.title, { body: one.body, tag: one.id });
  shown.onclick = () => {
    window.focus();
    location.assign(one.link ?? bell.href);
  };
  return undefined;
}

// What the tab says of the page: a few signs before the title, and the red dot.
export function carry(signs, isAlert) {
  const wanted = signs ? `${signs} · ${title}` : title;
  if (document.title !== wanted) document.title = wanted;
  const icon = document.getElementById("favicon");
  setAttribute(icon, "href", isAlert ? icon.dataset.alert : icon.dataset.calm);
}

function press(event) {
  const isHeld = event.ctrlKey || event.metaKey;
  if (isHeld && !event.altKey && event.key.toLowerCase() === "k") {
    event.preventDefault();
    palette();
    return;
  }
  const isTyping = event.target.closest("input, textarea, select, [contenteditable], dialog");
  const act = SINGLE_KEYS[event.key];
  if (!act || isHeld || event.altKey || isTyping || document.body.dataset.shortcuts === "off") return;
  event.preventDefault();
  act();
}

// What is typed while the palette is still on its way is not lost.
function palette() {
  let typed = "";
  const keep = (event) => {
    if (event.key.length !== 1 || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    typed += event.key;
  };
  const done = () => document.removeEventListener("keydown", keep, true);
  document.addEventListener("keydown", keep, true);
  import("./palette.js").then((module) => { done(); module.open(typed); }, done);
}

function open(module) {
  module.open();
}

function filter() {
  const field = document.getElementById("filter");
  if (field) field.focus();
  else palette();
}
