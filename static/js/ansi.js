// The colours that programs print (SGR), as pieces of text with class names; every other escape
// sequence is left out. Colours beyond the sixteen become the nearest of them, which are readable.

// eslint-disable-next-line no-control-regex
const ESCAPE = /\x1b(?:\[([0-9;:]*)m|\[[0-9;?<=>]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])?/g;
const STYLES = { 1: "bold", 2: "dim", 3: "italic", 4: "underline", 9: "struck" };

export function plain(text) {
  return text.replace(ESCAPE, "");
}

// [{text, names: [class, …]}]; each line begins without a colour.
export function pieces(text) {
  const found = [];
  let look = {};
  let from = 0;
  for (const match of text.matchAll(ESCAPE)) {
    add(found, text.slice(from, match.index), look);
    from = match.index + match[0].length;
    if (match[1] !== undefined) look = changed(look, match[1].split(/[;:]/).map(Number));
  }
  add(found, text.slice(from), look);
  return found;
}

function add(found, text, look) {
  if (text) found.push({ text, names: Object.values(look) });
}

function changed(before, codes) {
  const look = { ...before };
  for (let i = 0; i < codes.length; i += 1) {
    const code = codes[i];
    if (code === 0) Object.keys(look).forEach((key) => delete look[key]);
    else if (code in STYLES) look[code] = `ansi-${STYLES[code]}`;
    else if (code === 22) [1, 2].forEach((key) => delete look[key]);
    else if (code >= 23 && code <= 29) delete look[code - 20];
    else if (code === 39) delete look.ink;
    else if (code === 49) delete look.ground;
    else if (code === 38 || code === 48) {
      const isIndex = codes[i + 1] === 5;
      const colour = isIndex ? ofIndex(codes[i + 2]) : nearest(...codes.slice(i + 2, i + 5));
      paint(look, code === 38, colour);
      i += isIndex ? 2 : 4;
    } else if (code >= 30 && code <= 47) paint(look, code < 40, code % 10);
    else if (code >= 90 && code <= 107) paint(look, code < 100, (code % 10) + 8);
  }
  return look;
}

function paint(look, isInk, colour) {
  look[isInk ? "ink" : "ground"] = `ansi-${isInk ? "ink" : "ground"}-${colour}`;
}

function ofIndex(index = 7) {
  if (index < 16) return index;
  if (index >= 232) return nearest(...Array(3).fill((index - 232) * 10 + 8));
  return nearest(...[36, 6, 1].map((size) => (Math.floor((index - 16) / size) % 6) * 51));
}

function nearest(red = 0, green = 0, blue = 0) {
  const hue = (red >= 110) + (green >= 110) * 2 + (blue >= 110) * 4;
  return hue === 0 ? 8 : hue + (Math.max(red, green, blue) >= 200 ? 8 : 0);
}
