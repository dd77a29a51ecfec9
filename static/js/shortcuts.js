// `?`: the keys of the site. Fetched on first use.

import { make, makeDialog } from "./dialog.js";

const mac = /Mac|iPhone|iPad/.test(navigator.userAgent);
const KEYS = [
  [[mac ? "⌘" : "Ctrl", "K"], "Search machines, pages and actions"],
  [["/"], "Filter the list; on other pages, search"],
  [["?"], "Show this"],
  [["Esc"], "Close a menu or a window"],
];

const dialog = makeDialog("shortcuts", "Shortcuts");
const rows = KEYS.flatMap(([keys, text]) => [
  make("dt", {}, ...keys.map((key) => make("kbd", {}, key))),
  make("dd", {}, text),
]);
const close = make("button", { type: "button", class: "button" }, "Close");
close.addEventListener("click", () => dialog.close());
dialog.append(
  make("h2", {}, "Shortcuts"),
  make("dl", {}, ...rows),
  make("p", { class: "row" }, close, make("a", { href: "/account/settings", class: "link" }, "Turn single keys off")),
);

export function open() {
  if (!dialog.open) dialog.showModal();
}
