// Short messages at the lower right, in a live region. Errors stay until closed; the rest leaves
// after ten seconds, but not while it is looked at.

const SECONDS = 10;

export function toast(text, level = "info") {
  const template = document.getElementById("toast-template");
  if (!template) return;
  const box = template.content.firstElementChild.cloneNode(true);
  box.querySelector("p").textContent = text;
  box.classList.add(`toast-${level}`);
  document.getElementById(level === "error" ? "alerts" : "toasts").append(box);
  arm(box);
}

// What the server has put there gets its close button and its end, too.
export function armExisting() {
  for (const box of document.querySelectorAll("#toasts > .toast")) {
    const close = document.getElementById("toast-template").content.querySelector("button");
    box.append(close.cloneNode(true));
    arm(box);
  }
}

function arm(box) {
  box.querySelector("button[aria-label]")?.addEventListener("click", () => box.remove());
  if (box.classList.contains("toast-error")) return;
  const leave = () => (box.matches(":hover, :focus-within") ? setTimeout(leave, 2000) : box.remove());
  setTimeout(leave, (box.hasAttribute("data-undo") ? 2 : 1) * SECONDS * 1000);
}
