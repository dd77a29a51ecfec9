// The few ways in which a page changes: text, attributes and repeated rows. Nothing is written that
// is already there, and text goes in as textContent only: every name may come from a stranger.

const found = new WeakMap();

// The elements with `data-v` below `root` by that name; the first of a name counts.
export function parts(root) {
  let known = found.get(root);
  if (!known) {
    known = {};
    for (const element of root.querySelectorAll("[data-v]")) known[element.dataset.v] ??= element;
    found.set(root, known);
  }
  return known;
}

export function setText(element, text) {
  if (element && element.textContent !== text) element.textContent = text;
}

export function setAttribute(element, name, value) {
  if (element && element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}

export function setHidden(element, hidden) {
  if (element && element.hidden !== hidden) element.hidden = hidden;
}

// A bar's length in percent; absent draws none.
export function setWidth(element, value) {
  setAttribute(element, "width", `${clamp(value ?? 0).toFixed(1)}%`);
}

export function clamp(value) {
  return Math.min(100, Math.max(0, value));
}

// The height of a bar of at most `height`; zero keeps a visible foot, absent has none.
export function tall(value, height) {
  return value === null || value === undefined ? 0 : Math.max(height * 0.06, (clamp(value) * height) / 100);
}

// As many copies of the template in `container` as there are items, each painted with its item.
export function rows(container, template, items, paint) {
  if (!container) return;
  while (container.children.length > items.length) container.lastElementChild.remove();
  while (container.children.length < items.length) {
    const row = template.content.querySelector("tr") ?? template.content.firstElementChild;
    container.append(row.cloneNode(true));
  }
  items.forEach((item, place) => paint(parts(container.children[place]), item, container.children[place]));
}
