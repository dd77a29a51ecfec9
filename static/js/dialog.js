// A modal window over the page: Escape and a press beside it close it, Tab stays inside, and the
// browser gives the focus back to where it was.

export function makeDialog(className, name) {
  const dialog = document.createElement("dialog");
  dialog.className = className;
  dialog.setAttribute("aria-label", name);
  dialog.addEventListener("click", ({ target }) => target === dialog && dialog.close());
  dialog.addEventListener("keydown", (event) => event.key === "Tab" && turnRound(dialog, event));
  document.body.append(dialog);
  return dialog;
}

export function make(tag, attributes = {}, ...content) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...content);
  return element;
}

// From the last stop to the first and back, where the browser would go on to its own bars.
function turnRound(dialog, event) {
  const stops = [...dialog.querySelectorAll("a[href], button, input")];
  const [last, next] = event.shiftKey ? [stops[0], stops.at(-1)] : [stops.at(-1), stops[0]];
  if (document.activeElement !== last) return;
  event.preventDefault();
  next.focus();
}
