// The forms of a machine and of a project: errors arrive beside what was typed, which stays in the
// browser.

const form = document.querySelector("form[hx-target='#outcome']");

// htmx has put each field's error into its place: mark the fields and go to the first.
document.body.addEventListener("htmx:afterSettle", () => {
  let first = null;
  for (const error of form.querySelectorAll(".field-error[id]")) {
    const field = form.elements.namedItem(error.id.replace(/-error$/, ""));
    const inputs = field instanceof RadioNodeList ? [...field] : [field].filter(Boolean);
    const wrong = error.textContent.trim() !== "";
    for (const input of inputs) {
      if (wrong) input.setAttribute("aria-invalid", "true");
      else input.removeAttribute("aria-invalid");
    }
    if (wrong) first ??= inputs[0];
  }
  first?.closest("details")?.setAttribute("open", "");
  first?.focus();
});
