// The switch for desktop notifications of this browser. shell.js shows them.

import { setHidden, setText } from "./dom.js";

const KEY = "desktop-notifications";
const button = document.getElementById("desktop-switch");
const isPossible = "Notification" in window && window.isSecureContext;

function isOn() {
  return Notification.permission === "granted" && localStorage.getItem(KEY) === "on";
}

function words() {
  if (!isPossible) return "This browser shows them only for a site that is called over HTTPS.";
  if (Notification.permission === "denied") return "They are blocked for this site in the browser.";
  if (isOn()) return "They are on while a page of this site is open, from the next page on.";
  return "They are off.";
}

function show() {
  setText(document.getElementById("desktop-word"), words());
  setHidden(button, !isPossible || Notification.permission === "denied");
  if (isPossible) setText(button, isOn() ? "Turn off" : "Turn on");
}

button.addEventListener("click", async () => {
  if (isOn()) localStorage.removeItem(KEY);
  else if ((await Notification.requestPermission()) === "granted") localStorage.setItem(KEY, "on");
  show();
});
show();
