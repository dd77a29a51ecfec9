// Ctrl-K: machines, pages and actions by a few letters, with the keyboard alone.
// Fetched on first use; what is listed comes from the server each time, as far as the person may
// see it. An action is a form post, so the policy is asked again and the answer is a page.

import { make, makeDialog } from "./dialog.js";
import { fetchJson } from "./live.js";

const SHOWN = 12;
const SHOWN_OF_A_KIND = 5; // while nothing has been typed
const KINDS = { machine: "Machine", project: "Project", page: "Page", action: "Action" };
const MOVES = { ArrowDown: 1, ArrowUp: -1, PageDown: 5, PageUp: -5 };

const field = make("input", {
  type: "text", role: "combobox", "aria-label": "Search machines, pages and actions",
  "aria-expanded": "true", "aria-controls": "palette-found", "aria-autocomplete": "list",
  autocomplete: "off", spellcheck: "false", placeholder: "Machine, page or action",
});
const list = make("ul", { id: "palette-found", role: "listbox", "aria-label": "Found" });
const told = make("p", { class: "palette-told muted small", role: "status" });
const dialog = makeDialog("palette", "Search");
dialog.append(field, list, told);

let items = [];
let found = [];
let chosen = 0;

field.addEventListener("input", search);
field.addEventListener("keydown", move);
list.addEventListener("mousedown", (event) => event.preventDefault()); // the field keeps the focus
list.addEventListener("click", ({ target }) => {
  const place = [...list.children].indexOf(target.closest("[role=option]"));
  if (place >= 0) go(found[place]);
});

export async function open(typed) {
  if (dialog.open) return;
  field.value = typed;
  dialog.showModal();
  tell("Loading");
  try {
    ({ items } = await fetchJson("/palette"));
  } catch {
    tell("The site does not answer.");
    return;
  }
  search();
}

function search() {
  const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
  const all = words.length ? matching(words) : beginning();
  found = all.slice(0, SHOWN);
  chosen = 0;
  list.replaceChildren(...found.map(option));
  mark();
  if (!items.length || !all.length) tell("Nothing fits.");
  else tell(all.length > SHOWN ? `${SHOWN} of ${all.length}` : `${all.length} found`);
}

// Names that begin with what was typed come first, then names that hold it, then the rest.
function matching(words) {
  const rank = ({ label }) => {
    const place = label.toLowerCase().indexOf(words[0]);
    return place === 0 ? 0 : place > 0 ? 1 : 2;
  };
  return items
    .filter((item) => {
      const text = `${item.label} ${item.detail} ${item.words}`.toLowerCase();
      return words.every((word) => text.includes(word));
    })
    .sort((a, b) => rank(a) - rank(b));
}

function beginning() {
  const left = Object.fromEntries(Object.keys(KINDS).map((kind) => [kind, SHOWN_OF_A_KIND]));
  return items.filter(({ kind }) => (left[kind] -= 1) >= 0).slice(0, SHOWN);
}

function option(item, place) {
  return make(
    "li",
    { role: "option", id: `palette-${place}` },
    make("span", { class: "tag" }, KINDS[item.kind]),
    make("span", { class: "palette-label" }, item.label),
    make("span", { class: "small palette-detail" }, item.detail),
  );
}

function mark() {
  [...list.children].forEach((element, place) => {
    element.setAttribute("aria-selected", String(place === chosen));
    if (place === chosen) element.scrollIntoView({ block: "nearest" });
  });
  if (found.length) field.setAttribute("aria-activedescendant", `palette-${chosen}`);
  else field.removeAttribute("aria-activedescendant");
}

function move(event) {
  if (event.key === "Enter" && found.length) {
    event.preventDefault();
    go(found[chosen]);
  } else if (event.key in MOVES && found.length) {
    event.preventDefault();
    const wanted = chosen + MOVES[event.key];
    const isStep = Math.abs(MOVES[event.key]) === 1;
    const last = found.length - 1;
    chosen = isStep ? (wanted + found.length) % found.length : Math.min(last, Math.max(0, wanted));
    mark();
  }
}

function go(item) {
  dialog.close();
  if (!item.post) {
    location.assign(item.href);
    return;
  }
  const token = document.querySelector("[name=csrfmiddlewaretoken]").value;
  const form = make("form", { method: "post", action: item.href, hidden: "" });
  form.append(make("input", { type: "hidden", name: "csrfmiddlewaretoken", value: token }));
  document.body.append(form);
  form.submit();
}

function tell(text) {
  if (told.textContent !== text) told.textContent = text;
}
