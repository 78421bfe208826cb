// What all pages are made of: elements, what the API says, tables. All goes in as text, never as markup.
const SVG = "http://www.w3.org/2000/svg";
export const KEPT = "nc-sigopt token", PAGE = 1000;
export const $ = id => document.getElementById(id);

export function html(name, parent, text, attributes) {
  const made = document.createElement(name);
  if (text !== undefined && text !== null) made.textContent = text;
  for (const [key, value] of Object.entries(attributes || {})) made.setAttribute(key, value);
  if (parent) parent.appendChild(made);
  return made;
}
export function svg(name, attributes, parent, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  parent.appendChild(made);
  return made;
}
export function link(parent, text, ...path) {
  return html("a", parent, text, {href: "#/" + path.map(encodeURIComponent).join("/")});
}
export const figure = value => typeof value !== "number" ? String(value ?? "–") : String(Number(value.toPrecision(5)));
export const moment = seconds => seconds ? new Date(1000 * seconds).toLocaleString() : "–";

export async function ask(path, query) {
  const address = new URL("/v1/" + path.map(encodeURIComponent).join("/"), location.href);
  for (const [key, value] of Object.entries(query || {})) address.searchParams.set(key, value);
  const authorization = "Basic " + btoa(sessionStorage.getItem(KEPT) + ":");
  const answer = await fetch(address, {headers: {authorization}, cache: "no-store"});
  const body = await answer.json().catch(() => ({}));
  if (answer.ok) return body;
  throw Object.assign(new Error(body.message || "The server answered " + answer.status + "."), {status: answer.status});
}
export async function all(path, most, query) {
  const found = [];
  let before;
  do {
    const page = await ask(path, {limit: PAGE, ...query, ...(before ? {before} : {})});
    found.push(...page.data);
    before = page.paging.before;
  } while (before && found.length < most);
  return {items: found, whole: !before};
}

export function table(parent, columns, rows, classes) {
  const wide = html("div", parent, null, {class: "wide tall"}), made = html("table", wide);
  const head = html("tr", html("thead", made)), body = html("tbody", made);
  const fill = ordered => {
    body.replaceChildren();
    for (const row of ordered) {
      const line = html("tr", body, null, classes && classes(row) ? {class: classes(row)} : {});
      for (const column of columns) {
        const cell = html("td", line), value = column.of(row);
        if (column.path) link(cell, figure(value), ...column.path(row)); else cell.textContent = figure(value);
      }
    }
  };
  for (const column of columns) {
    const cell = html("th", head, null, {scope: "col"});
    html("button", cell, column.name, {type: "button"}).addEventListener("click", () => {
      const up = cell.getAttribute("aria-sort") !== "ascending";
      for (const other of head.cells) other.removeAttribute("aria-sort");
      cell.setAttribute("aria-sort", up ? "ascending" : "descending");
      const known = rows.filter(row => column.of(row) !== null && column.of(row) !== undefined);
      const none = rows.filter(row => !known.includes(row));
      known.sort((a, b) => {
        const x = column.of(a), y = column.of(b);
        return (up ? 1 : -1) * (typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y)));
      });
      fill([...known, ...none]);
    });
  }
  fill(rows);
}
export function facts(parent, pairs) {
  const list = html("dl", parent, null, {class: "facts"});
  for (const [name, value, path] of pairs) {
    if (value === null || value === undefined || value === "") continue;
    html("dt", list, name);
    const place = html("dd", list, path ? null : value);
    if (path) link(place, value, ...path);
  }
}
export function hinted(shape, text) {
  const hint = $("hint");
  shape.addEventListener("pointermove", event => {
    hint.textContent = text;
    hint.hidden = false;
    hint.style.left = Math.max(6, Math.min(event.clientX + 14, innerWidth - hint.offsetWidth - 6)) + "px";
    hint.style.top = event.clientY + 18 + "px";
  });
  shape.addEventListener("pointerleave", () => { hint.hidden = true; });
}
export function axis(low, high, from, to) {
  const span = (high - low) || Math.abs(high) || 1;
  return value => from + (value - low) / span * (to - from);
}

// Values in their order, joined by a line: {name, values}, where a value may be null.
export function curve(parent, {name, values}) {
  const seen = values.map((v, i) => ({v, i})).filter(p => typeof p.v === "number");
  if (seen.length < 2) return;
  const width = 760, height = 180, numbers = seen.map(p => p.v);
  const low = Math.min(...numbers), high = Math.max(...numbers);
  const x = axis(0, values.length - 1, 70, width - 15), y = axis(low, high, height - 20, 12);
  html("h3", parent, name);
  const picture = svg("svg", {viewBox: `0 0 ${width} ${height}`, width, height, role: "img", class: "curve",
    "aria-label": `${name}, from ${figure(numbers[0])} to ${figure(numbers[numbers.length - 1])}`}, parent);
  for (const value of new Set([low, high])) {
    svg("line", {x1: 70, x2: width - 15, y1: y(value), y2: y(value), class: "grid"}, picture);
    svg("text", {x: 64, y: y(value) + 4, "text-anchor": "end", class: "dim"}, picture, figure(value));
  }
  svg("polyline", {points: seen.map(p => x(p.i) + "," + y(p.v)).join(" "), class: "run"}, picture);
  for (const p of seen) hinted(svg("circle", {cx: x(p.i), cy: y(p.v), r: 3, class: "point"}, picture), `${p.i + 1}: ${figure(p.v)}`);
}
