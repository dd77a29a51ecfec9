// Fingers on a chart: one that drags moves the window, two that spread zoom, a tap shows the value
// (which the browser tells the chart as a mouse). Scrolling the page up and down stays the page's.

const LEAST_MOVE = 8;

// `look(from, to)` shows a window at once, `onZoom(from, to)` settles it when the fingers leave.
export function attach(chart, { look, onZoom }) {
  const { over } = chart;
  const fingers = new Map(); // id → where it is now, in pixels from the left
  let start = null; // the window and the fingers when they came down
  let wanted = null;

  over.classList.add("touchable");
  over.addEventListener("pointerdown", (event) => event.pointerType === "touch" && down(event));
  over.addEventListener("pointermove", move);
  for (const name of ["pointerup", "pointercancel", "pointerleave"]) over.addEventListener(name, up);

  function down(event) {
    fingers.set(event.pointerId, place(event));
    begin();
  }

  function begin() {
    const [left, right] = [chart.valueAt(0), chart.valueAt(over.clientWidth)];
    start = { left, right, at: [...fingers.values()] };
  }

  function move(event) {
    if (!fingers.has(event.pointerId)) return;
    fingers.set(event.pointerId, place(event));
    const now = [...fingers.values()];
    if (now.length > 2 || now.every((x, i) => Math.abs(x - start.at[i]) < LEAST_MOVE)) return;
    wanted = now.length === 2 ? spread(now) : dragged(now[0]);
    look(...wanted);
  }

  function up(event) {
    if (!fingers.delete(event.pointerId)) return;
    if (fingers.size) begin();
    else if (wanted) onZoom(...wanted);
    if (!fingers.size) wanted = null;
  }

  function dragged(x) {
    const by = ((start.at[0] - x) / over.clientWidth) * (start.right - start.left);
    return [start.left + by, start.right + by];
  }

  // What was under each finger stays under it.
  function spread(now) {
    const width = over.clientWidth;
    const scale = (start.right - start.left) / width;
    const [a, b] = start.at.map((x) => start.left + x * scale);
    const perPixel = (b - a) / (now[1] - now[0] || 1);
    const from = a - now[0] * perPixel;
    return perPixel > 0 ? [from, from + width * perPixel] : [start.left, start.right];
  }

  function place(event) {
    return event.clientX - over.getBoundingClientRect().left;
  }
}
