// One time chart: uPlot with a band of least and greatest, marks behind it, a cross-hair that its
// neighbours share, drag to zoom, and a cursor for the keyboard. It draws and reports; what a zoom
// means is decided by who made it.

const AXIS = "#b0b0c0";
const GRID = "#ffffff14";
const HEIGHT = 170;
const SIDE = 70; // the same for all, so that a moment stands at the same place in each
const TONES = { info: "#60a5fa26", warning: "#f59e0b30", critical: "#ef444438" };
const DAY = 86400;
// How far each key moves the cursor, in points.
export const KEYS = { ArrowLeft: -1, ArrowRight: 1, PageUp: 20, PageDown: -20, Home: -Infinity, End: Infinity };

let library = null;
const shifts = new Map();

// uPlot is a classic script; it is fetched once, when the first chart is wanted.
export function load(address) {
  library ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = address;
    script.onload = () => resolve(window.uPlot);
    script.onerror = () => {
      library = null;
      script.remove();
      reject(new Error("uPlot"));
    };
    document.head.append(script);
  });
  return library;
}

// How far a zone's clock is from this browser's, in milliseconds. Asking for it takes long, uPlot
// does so for every tick of every chart, and it changes at a full quarter of an hour if ever.
function shiftOf(zone, seconds) {
  const quarter = Math.floor(seconds / 900) * 900;
  const key = `${zone} ${quarter}`;
  if (!shifts.has(key)) {
    if (shifts.size > 5000) shifts.clear();
    shifts.set(key, window.uPlot.tzDate(new Date(quarter * 1000), zone) - quarter * 1000);
  }
  return shifts.get(key);
}

// `lines`: [{stroke, dash}]; `show(value)` writes a value; `xTexts(splits, step)` the times, which
// are seconds since 1970 in `zone`, or without it any number from a start on, in `xSteps`; `yScale`
// replaces the scale from zero to `ceiling`;
// `onZoom(from, to)`, `onReset()` and `onPoint(index | null)` tell what the person does.
export function makeChart(plot, options) {
  const { lines, show, ceiling = null, hasBand = true, yScale, sync, zone, xTexts, xSteps, onZoom, onReset, onPoint } = options;
  const at = { marks: [], length: 0 };
  const chart = new window.uPlot({
    width: Math.max(plot.clientWidth, 100),
    height: HEIGHT,
    legend: { show: false },
    tzDate: (seconds) => new Date(seconds * 1000 + shiftOf(zone, seconds)),
    scales: {
      x: { time: Boolean(zone), range: (_, from, to) => [from, to] },
      y: yScale ?? { range: (_, low, high) => [0, ceiling ?? Math.max(1, (high ?? 0) * 1.08)] },
    },
    axes: [
      { stroke: AXIS, grid: { stroke: GRID, width: 1 }, ticks: { show: false }, size: zone ? 40 : 28, space: 64, ...(xSteps && { incrs: xSteps }), values: (_, splits, __, ___, step) => xTexts(splits, step) },
      { stroke: AXIS, grid: { stroke: GRID, width: 1 }, ticks: { show: false }, size: SIDE, space: 36, values: (_, splits) => splits.map(show) },
    ],
    series: [{}, ...lines.flatMap((line) => seriesOf(line, hasBand))],
    bands: hasBand ? lines.map((line, place) => ({ series: [place * 3 + 2, place * 3 + 3], fill: `${line.stroke}33` })) : [],
    cursor: {
      y: false,
      sync: { key: sync, setSeries: false },
      drag: { x: true, y: false, setScale: false, dist: 6 },
      bind: { dblclick: () => () => onReset() },
    },
    hooks: {
      setSelect: [zoomed],
      setCursor: [() => onPoint(chart?.cursor.idx ?? null)],
      drawClear: [() => paintMarks(chart, at.marks)],
    },
  }, [[], ...lines.flatMap(() => (hasBand ? [[], [], []] : [[]]))], plot);
  chart.over.setAttribute("aria-hidden", "true");

  function zoomed() {
    const { left, width } = chart.select;
    if (width < 6) return;
    const [from, to] = [chart.posToVal(left, "x"), chart.posToVal(left + width, "x")];
    chart.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
    onZoom(from, to);
  }

  return {
    // `columns`: one per line, {avg, min, max} of the length of `times`.
    set(times, columns, from, to, marks = []) {
      at.marks = marks;
      at.length = times.length;
      const blank = times.map(() => null);
      const parts = hasBand ? ["avg", "max", "min"] : ["avg"];
      chart.batch(() => {
        chart.setData([times, ...columns.flatMap((column) => parts.map((part) => column?.[part] ?? blank))], false);
        chart.setScale("x", { min: from, max: to });
      });
    },
    look: (from, to) => chart.setScale("x", { min: from, max: to }),
    point: (place) => chart.setCursor({ left: chart.valToPos(chart.data[0][place], "x"), top: 10 }, true, true),
    leave: () => chart.setCursor({ left: -10, top: -10 }),
    resize: () => plot.clientWidth && chart.setSize({ width: plot.clientWidth, height: HEIGHT }),
    over: chart.over,
    valueAt: (left) => chart.posToVal(left, "x"),
    remove: () => chart.destroy(),
  };
}

function seriesOf({ stroke, dash }, hasBand) {
  const mean = { stroke, dash, width: 1.6, points: { size: 4, fill: stroke, filter: alone } };
  const edge = { stroke: "transparent", width: 0, points: { show: false } };
  return hasBand ? [mean, edge, { ...edge }] : [mean];
}

// A value between two gaps has no line; it gets a dot. What is undefined is another line's place.
function alone(chart, place, isShown) {
  if (isShown) return null;
  const found = [];
  let [before, last, at] = [null, null, -1];
  const take = (value, i) => {
    if (value === undefined) return;
    if (last !== null && before === null && value === null) found.push(at);
    [before, last, at] = [last, value, i];
  };
  chart.data[place].forEach(take);
  take(null, -1);
  return found;
}

function paintMarks(chart, marks) {
  const { ctx, bbox, scales } = chart;
  ctx.save();
  for (const { from, to, tone } of marks) {
    const left = chart.valToPos(Math.max(from, scales.x.min), "x", true);
    const right = chart.valToPos(Math.min(to, scales.x.max), "x", true);
    ctx.fillStyle = TONES[tone] ?? TONES.info;
    if (right >= left) ctx.fillRect(left, bbox.top, Math.max(2, right - left), bbox.height);
  }
  ctx.restore();
}

// The texts under a chart of times: the clock, and the date where a new day begins.
export function clockTexts(zone) {
  const [minutes, seconds] = ["short", "medium"].map((timeStyle) => new Intl.DateTimeFormat("sv", { timeZone: zone, timeStyle }));
  const day = new Intl.DateTimeFormat("sv", { timeZone: zone, dateStyle: "short" });
  return (splits, step) => {
    const clock = step < 60 ? seconds : minutes;
    let before = "";
    return splits.map((at) => {
      const date = new Date(at * 1000);
      const today = day.format(date);
      if (step >= DAY) return today.slice(step >= 28 * DAY ? 0 : 5, step >= 28 * DAY ? 7 : 10);
      const text = today === before ? clock.format(date) : `${clock.format(date)}\n${today.slice(5)}`;
      before = today;
      return text;
    });
  };
}
