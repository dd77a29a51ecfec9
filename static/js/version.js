// After the site came back it may be a newer one: then the page offers to be loaded again. Never by
// itself, somebody may be typing.

import { make } from "./dialog.js";
import { fetchJson } from "./live.js";

let asked = false;

export async function check() {
  const { build } = await fetchJson("/version").catch(() => ({}));
  if (asked || !build || build === document.body.dataset.build) return;
  asked = true;
  const reload = make("button", { type: "button", class: "button button-small" }, "Reload");
  const later = make("button", { type: "button", class: "button button-small button-quiet" }, "Later");
  const text = make("p", {}, "The site was updated. Reload the page when it suits you.");
  const box = make("div", { class: "toast" }, text, reload, later);
  reload.addEventListener("click", () => location.reload());
  later.addEventListener("click", () => box.remove());
  document.getElementById("toasts").append(box);
}
