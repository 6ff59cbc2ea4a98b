"use strict";
// Four small things: a switch for the dark, links that open what they lead to, tables that sort, and plots of accuracy
// against cost. Every figure that is shown as text was written by Python; names are only ever set as text, never as HTML.

const SVG = "http://www.w3.org/2000/svg";
const SHAPES = { // by matplotlib's letters, around 0 0
  o: "M-6 0a6 6 0 1 0 12 0a6 6 0 1 0-12 0", s: "M-5-5h10v10h-10z", D: "M0-7L7 0L0 7L-7 0z", "^": "M0-7L7 6H-7z",
  v: "M0 7L7-6H-7z", P: "M-2-6h4v4h4v4h-4v4h-4v-4h-4v-4h4z",
  X: "M-6-4L-4-6L0-2L4-6L6-4L2 0L6 4L4 6L0 2L-4 6L-6 4L-2 0z",
};
const MARGIN = { left: 58, right: 18, top: 14, bottom: 46 };

function element(parent, name, attributes = {}, text = "") {
  const made = parent.namespaceURI === SVG || name === "svg" ? document.createElementNS(SVG, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text) made.textContent = text;
  parent.append(made);
  return made;
}

// ---- light and dark -------------------------------------------------------------------------------------------------

function switchable(button) {
  const root = document.documentElement;
  const isDark = () => (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const label = () => { button.textContent = isDark() ? "Light" : "Dark"; };
  button.addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; label(); });
  button.hidden = false;
  label();
}

// ---- links into what is folded away -----------------------------------------------------------------------------------

function unfold(hash) {
  const target = hash ? document.getElementById(decodeURIComponent(hash.slice(1))) : null;
  for (let node = target; node; node = node.parentElement) if (node.tagName === "DETAILS") node.open = true;
  return target;
}

// ---- tables -------------------------------------------------------------------------------------------------------------

function sortable(table) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => sortBy(table, heads, column));
  });
}

function sortBy(table, heads, column) {
  const direction = heads[column].getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
  heads.forEach((head) => head.removeAttribute("aria-sort"));
  heads[column].setAttribute("aria-sort", direction);
  const keyed = [...table.tBodies[0].rows].map((row) => ({ row, key: keyOf(row.cells[column]) }));
  keyed.sort((one, other) => compare(one.key, other.key, direction === "ascending" ? 1 : -1));
  table.tBodies[0].append(...keyed.map(({ row }) => row));
}

function keyOf(cell) {
  const figure = cell.querySelector(".figure");
  if (!figure) return cell.textContent;
  const number = figure.textContent.match(/[-+]?\d[\d,]*(\.\d+)?(e[-+]?\d+)?/);
  return number ? Number(number[0].replaceAll(",", "")) : null;
}

function compare(one, other, sign) { // what has no figure stays last either way
  if (one === null || other === null) return (one === null) - (other === null);
  return sign * (typeof one === "number" ? one - other : one.localeCompare(other));
}

// ---- accuracy against cost ------------------------------------------------------------------------------------------------

function plot(figure) {
  const data = JSON.parse(figure.querySelector("script").textContent);
  const state = { data, axis: data.axes[0], hidden: new Set() };
  chooser(element(figure, "div", { class: "controls" }), state);
  state.canvas = element(figure, "div", { class: "canvas" });
  legend(element(figure, "div", { class: "legend", role: "group", "aria-label": "Networks shown" }), state);
  let width = state.canvas.clientWidth;
  addEventListener("resize", () => { // a phone's bars come and go and change the height alone
    if (state.canvas.clientWidth !== width) draw(state);
    width = state.canvas.clientWidth;
  });
  draw(state);
}

function chooser(parent, state) {
  const select = element(element(parent, "label", {}, "Against "), "select");
  state.data.axes.forEach((axis) => element(select, "option", {}, axis));
  select.addEventListener("change", () => { state.axis = select.value; draw(state); });
}

function legend(parent, state) {
  const boxes = state.data.points.map((point) => {
    const label = element(parent, "label");
    const box = element(label, "input", { type: "checkbox" });
    const icon = element(label, "svg", { width: 16, height: 16, viewBox: "-8 -8 16 16", "aria-hidden": "true" });
    element(icon, "path", { d: SHAPES[point.marker], fill: point.color });
    element(label, "span", {}, point.name);
    box.checked = true;
    box.addEventListener("change", () => { state.hidden[box.checked ? "delete" : "add"](point); draw(state); });
    return box;
  });
  const all = element(parent, "button", { type: "button" }, "All or none");
  all.addEventListener("click", () => {
    const checked = !boxes.every((box) => box.checked);
    boxes.forEach((box) => { box.checked = checked; });
    state.hidden = new Set(checked ? [] : state.data.points);
    draw(state);
  });
}

function draw({ data, axis, hidden, canvas }) {
  canvas.replaceChildren();
  const width = Math.max(canvas.clientWidth, 240), height = Math.min(440, Math.max(300, 0.6 * width));
  const svg = element(canvas, "svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": `${data.accuracy}, against ${axis}` });
  const shown = data.points.filter((point) => !hidden.has(point) && axis in point.x);
  if (!shown.length) {
    element(svg, "text", { x: width / 2, y: height / 2, "text-anchor": "middle" }, "No network to show");
    return;
  }
  const x = scale(shown.map((point) => Math.log10(point.x[axis])), 0.1, MARGIN.left, width - MARGIN.right);
  const y = scale(shown.flatMap((point) => [point.low, point.y, point.high]), 0.01, height - MARGIN.bottom, MARGIN.top);
  grid(svg, x, y, width, height);
  element(svg, "text", { x: (width + MARGIN.left) / 2, y: height - 8, "text-anchor": "middle" }, `${axis}, log scale`);
  element(svg, "text", { x: 14, y: height / 2, "text-anchor": "middle", transform: `rotate(-90 14 ${height / 2})` }, data.accuracy);
  const best = front(shown, axis).map((point) => `${x(Math.log10(point.x[axis]))},${y(point.y)}`);
  element(svg, "polyline", { class: "front", points: best.join(" ") });
  shown.forEach((point) => mark(svg, canvas, point, x(Math.log10(point.x[axis])), y));
}

function scale(values, least, from, to) { // a linear map with some room at both ends
  const room = Math.max(0.12 * (Math.max(...values) - Math.min(...values)), least);
  const low = Math.min(...values) - room, high = Math.max(...values) + room;
  return Object.assign((value) => from + ((value - low) / (high - low)) * (to - from), { low, high });
}

function grid(svg, x, y, width, height) {
  const right = width - MARGIN.right, bottom = height - MARGIN.bottom;
  for (const value of logTicks(x.low, x.high, (right - MARGIN.left) / 48)) {
    const at = x(Math.log10(value));
    element(svg, "line", { class: "grid", x1: at, x2: at, y1: MARGIN.top, y2: bottom });
    element(svg, "text", { x: at, y: bottom + 17, "text-anchor": "middle" }, String(value));
  }
  for (const value of ticks(y.low, y.high, 6)) {
    element(svg, "line", { class: "grid", x1: MARGIN.left, x2: right, y1: y(value), y2: y(value) });
    element(svg, "text", { x: MARGIN.left - 8, y: y(value) + 4, "text-anchor": "end" }, String(value));
  }
}

function ticks(low, high, most) { // round numbers between low and high
  const rough = (high - low) / most, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((times) => times * power).find((size) => size >= rough);
  const count = Math.floor(high / step) - Math.ceil(low / step) + 1;
  return Array.from({ length: count }, (_, n) => Number(((Math.ceil(low / step) + n) * step).toPrecision(6)));
}

function logTicks(low, high, most) { // low and high are exponents of ten; round numbers between, as many as there is room for
  for (const mantissas of [[1, 2, 5], [1, 3], [1]]) {
    const found = [];
    for (let power = Math.floor(low); power <= high; power += 1) found.push(...mantissas.map((m) => Number(`${m}e${power}`)));
    const inside = found.filter((value) => value >= 10 ** low && value <= 10 ** high);
    if (inside.length < 3) break;
    if (inside.length <= most) return inside;
  }
  return ticks(10 ** low, 10 ** high, Math.min(5, most)).filter((value) => value > 0);
}

function front(points, axis) { // those that no other beats at both
  const beats = (one, other) => one.x[axis] <= other.x[axis] && one.y >= other.y && (one.x[axis] < other.x[axis] || one.y > other.y);
  const kept = points.filter((point) => !points.some((other) => beats(other, point)));
  return kept.sort((one, other) => one.x[axis] - other.x[axis] || one.y - other.y);
}

function mark(svg, canvas, point, at, y) {
  const attributes = { class: "point", tabindex: 0, role: "img", "aria-label": point.text.join("; ") };
  const group = element(svg, "g", attributes);
  element(group, "circle", { class: "halo", cx: at, cy: y(point.y), r: 15 });
  element(group, "line", { x1: at, x2: at, y1: y(point.low), y2: y(point.high), stroke: point.color });
  element(group, "path", { d: SHAPES[point.marker], transform: `translate(${at} ${y(point.y)})`, fill: point.color });
  let tip = null;
  const show = () => { hide(); tip = tell(canvas, point, at, y(point.y)); };
  const hide = () => { tip?.remove(); tip = null; };
  for (const event of ["pointerenter", "focus"]) group.addEventListener(event, show);
  for (const event of ["pointerleave", "blur"]) group.addEventListener(event, hide);
}

function tell(canvas, point, x, y) { // the figures of a point above it, or below where there is no room
  const tip = element(canvas, "div", { class: "tip" }, point.text.join("\n"));
  const room = canvas.clientWidth - tip.offsetWidth - 4, above = y - tip.offsetHeight - 14;
  tip.style.left = `${Math.max(4, Math.min(x - tip.offsetWidth / 2, room))}px`;
  tip.style.top = `${above > 0 ? above : y + 14}px`;
  return tip;
}

switchable(document.getElementById("theme"));
document.querySelectorAll("table.figures").forEach(sortable);
document.querySelectorAll("figure.plot").forEach(plot);
document.addEventListener("click", (event) => {
  const link = event.target.closest('a[href^="#"]');
  if (link) unfold(link.hash);
});
addEventListener("hashchange", () => unfold(location.hash));
unfold(location.hash)?.scrollIntoView();
document.documentElement.dataset.ready = "yes";
