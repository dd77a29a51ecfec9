// The editor of a configuration: line numbers, links to lines, and Ctrl-S, which shows what changes
// and, while that is still true, saves it. Without this module the form works with two clicks.

const form = document.getElementById("config-form");
const outcome = document.getElementById("config-outcome");

for (const area of form.querySelectorAll("textarea")) {
  const numbers = area.parentElement.querySelector(".line-numbers");
  const follow = () => (numbers.scrollTop = area.scrollTop);
  const count = () => {
    numberLines(area, numbers);
    follow();
  };
  area.addEventListener("scroll", follow);
  area.addEventListener("input", () => {
    count();
    forgetReview();
  });
  count();
}

document.addEventListener("keydown", (event) => {
  if (!(event.ctrlKey || event.metaKey) || event.altKey || event.key.toLowerCase() !== "s") return;
  const button = outcome.querySelector("[data-save]") ?? form.querySelector("[name=step]");
  if (!button) return;
  event.preventDefault();
  if (!button.disabled) button.click();
});

outcome.addEventListener("click", (event) => {
  const link = event.target.closest("[data-line]");
  if (!link) return;
  event.preventDefault();
  showLine(document.getElementById(link.hash.slice(1)), Number(link.dataset.line));
});

// The answer of a post: the button that saves is where the next key goes.
document.body.addEventListener("htmx:afterSettle", () => {
  (outcome.querySelector("[data-save]") ?? outcome.querySelector("[data-line]"))?.focus();
});

// What was shown is no longer what would be saved; the version it is compared with stays.
function forgetReview() {
  outcome.querySelector("[data-review]")?.remove();
}

function numberLines(area, numbers) {
  const lines = area.value.split("\n").length;
  if (Number(numbers.dataset.lines) === lines) return;
  numbers.dataset.lines = lines;
  numbers.textContent = Array.from({ length: lines }, (_, place) => place + 1).join("\n");
}

function showLine(area, line) {
  const lines = area.value.split("\n");
  const start = lines.slice(0, line - 1).reduce((sum, text) => sum + text.length + 1, 0);
  area.closest("details")?.setAttribute("open", "");
  area.focus();
  area.setSelectionRange(start, start + (lines[line - 1] ?? "").length);
  area.scrollTop = Math.max(0, (line - 4) * parseFloat(getComputedStyle(area).lineHeight));
}
