(() => {
"use strict";
const DIGITS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
const SVG = "http://www.w3.org/2000/svg";
const GOOD = "var(--good)", DIM = "var(--dim)", MARK = "var(--mark)", FP32 = "#8a8f98";
const $ = id => document.getElementById(id);
let run, byNumber, models, chosen = null, picked = false;
function take(page) {
  run = JSON.parse(page.getElementById("run-data").textContent);
  byNumber = new Map(run.trials.map(t => [t.n, t]));
  // A repeat of a graph has the point and the column of the first.
  models = run.trials.filter(t => t.ms !== null && t.accuracy !== null && t.same === null);
  // What the reader has chosen stays, until then it is the best.
  chosen = (picked && byNumber.get(chosen.n)) || byNumber.get(run.shown) || models[0] || null;
}

function element(name, attributes, parent, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes || {})) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  if (parent) parent.appendChild(made);
  return made;
}
function html(name, text, parent) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (parent) parent.appendChild(made);
  return made;
}
function canvas(holder, width, height, label) {
  const scrolled = holder.scrollLeft;
  const svg = element("svg", {width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label});
  holder.replaceChildren(svg);
  holder.scrollLeft = scrolled;
  return svg;
}
const short = (value, digits = 3) => value === null || value === undefined ? "–" : Number(value.toPrecision(digits)).toString();
const typeAt = (t, i) => { const k = DIGITS.indexOf(t.choices[i]); return k < 0 ? null : k; };

// Round numbers between two values, about as many as asked for.
function ticks(low, high, count) {
  const span = (high - low) || Math.abs(high) || 1;
  const power = Math.pow(10, Math.floor(Math.log10(span / count)));
  const step = [1, 2, 2.5, 5, 10].map(f => f * power).find(s => span / s <= count) || 10 * power;
  const found = [];
  for (let v = Math.ceil(low / step) * step; v <= high + step * 1e-6; v += step) found.push(Math.abs(v) < step * 1e-9 ? 0 : v);
  return found;
}
function scale(low, high, from, to) {
  const span = (high - low) || 1;
  return value => from + (value - low) / span * (to - from);
}
function axes(svg, box, x, y, names) {
  for (const v of ticks(x.low, x.high, Math.max(3, (box.right - box.left) / 90))) {
    element("line", {x1: x.at(v), x2: x.at(v), y1: box.top, y2: box.bottom, class: "grid"}, svg);
    element("text", {x: x.at(v), y: box.bottom + 16, "text-anchor": "middle", class: "dim"}, svg, short(v, 4));
  }
  for (const v of ticks(y.low, y.high, 5)) {
    element("line", {x1: box.left, x2: box.right, y1: y.at(v), y2: y.at(v), class: "grid"}, svg);
    element("text", {x: box.left - 6, y: y.at(v) + 4, "text-anchor": "end", class: "dim"}, svg, short(v, 4));
  }
  element("text", {x: box.right, y: box.bottom + 33, "text-anchor": "end"}, svg, names[0]);
  element("text", {x: 2, y: 13}, svg, names[1]);
}
function axis(values, from, to) {
  let low = Math.min(...values), high = Math.max(...values);
  const room = ((high - low) || Math.abs(high) || 1) * 0.06;
  low -= room; high += room;
  return {low, high, at: scale(low, high, from, to)};
}

const hint = $("hint");
function tell(event, text) {
  hint.hidden = !text;
  if (!text) return;
  hint.textContent = text;
  const left = Math.min(event.clientX + 14, innerWidth - hint.offsetWidth - 6);
  const below = event.clientY + 18 + hint.offsetHeight < innerHeight;
  hint.style.left = `${Math.max(6, left)}px`;
  hint.style.top = `${below ? event.clientY + 18 : event.clientY - 12 - hint.offsetHeight}px`;
}
const best = () => !run.found ? "nearest miss" : run.running ? "best so far" : "winner";
const inWords = t => `trial ${t.n}: ${t.speed === null ? "" : short(t.speed) + " times FP32, "}accuracy ${short(t.accuracy, 4)}` +
  `, ${short(t.ms)} ms${t.met ? ", meets the bound" : ", misses the bound"}`;

function scatter() {
  const focused = document.activeElement && document.activeElement.dataset.point;
  const holder = $("scatter-plot"), width = holder.clientWidth || 640, height = Math.min(440, Math.max(290, width * 0.6));
  const svg = canvas(holder, width, height, "Accuracy against latency of every trial");
  const box = {left: 52, right: width - 10, top: 24, bottom: height - 42};
  const points = models.map(t => [t.ms, t.accuracy]);
  if (run.fp32 !== null && run.baseline !== null) points.push([run.fp32, run.baseline]);
  const levels = points.map(p => p[1]).concat(run.target === null ? [] : [run.target]);
  // From 0 where the points spread that far; a cloud at the far end would be one blot.
  const times = points.map(p => p[0]), x = axis(times, box.left, box.right);
  if (Math.min(...times) < 0.4 * Math.max(...times)) { x.low = 0; x.at = scale(0, x.high, box.left, box.right); }
  const y = axis(levels, box.bottom, box.top);
  axes(svg, box, x, y, ["latency of a batch (ms)", run.higher ? "accuracy ↑" : "error ↓"]);
  if (run.target !== null) {
    element("line", {x1: box.left, x2: box.right, y1: y.at(run.target), y2: y.at(run.target), stroke: "var(--bad)", "stroke-dasharray": "6 4", "stroke-width": 1.5}, svg);
    element("text", {x: box.right, y: y.at(run.target) + 14, "text-anchor": "end", class: "dim"}, svg, `bound ${short(run.target, 4)}`);
  }
  if (run.fp32 !== null && run.baseline !== null)
    element("rect", {x: -5, y: -5, width: 10, height: 10, fill: FP32, transform: `translate(${x.at(run.fp32)} ${y.at(run.baseline)}) rotate(45)`}, svg);
  for (const t of models) {
    const cx = x.at(t.ms), cy = y.at(t.accuracy), e = t.error ? 1.96 * t.error : 0;
    if (e) element("line", {x1: x.at(Math.max(0, t.ms - e)), x2: x.at(t.ms + e), y1: cy, y2: cy, stroke: t.met ? GOOD : DIM, "stroke-opacity": .5}, svg);
    element("circle", {cx, cy, r: 4.5, fill: t.met ? GOOD : "var(--page)", stroke: t.met ? GOOD : DIM, "stroke-width": 1.5}, svg);
    if (t.n === run.shown) element("circle", {cx, cy, r: 9, fill: "none", stroke: MARK, "stroke-width": 2}, svg);
    if (t === chosen && t.n !== run.shown) element("circle", {cx, cy, r: 8, fill: "none", stroke: "currentColor", "stroke-dasharray": "3 2"}, svg);
    const target = element("circle", {cx, cy, r: 12, fill: "transparent", tabindex: 0, role: "button", "data-point": t.n, "aria-label": inWords(t), style: "cursor:pointer"}, svg);
    target.onpointermove = event => tell(event, inWords(t));
    target.onpointerleave = () => tell(null, "");
    target.onclick = () => choose(t);
    target.onkeydown = event => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); choose(t); } };
    if (focused === String(t.n)) target.focus({preventScroll: true});
  }
}

let described = "";
function details() {
  const aside = $("details"), shownTrial = byNumber.get(run.shown);
  // What is there already is not drawn again: it may have been scrolled, or a recipe opened in it.
  const subject = JSON.stringify([chosen, shownTrial, run.found, run.running]);
  if (subject === described) return;
  described = subject;
  // Of the same trial beside another best one, the place in the list and an opened recipe stay.
  const isSame = chosen !== null && aside.dataset.trial === String(chosen.n);
  const scrolled = isSame ? aside.querySelector(".scroll").scrollTop : 0, recipe = isSame ? aside.querySelector("pre") : null;
  aside.replaceChildren();
  if (!chosen) { html("p", "No trial was measured.", aside); return; }
  aside.dataset.trial = chosen.n;
  html("h3", `Trial ${chosen.n}${chosen.n === run.shown ? `, the ${best()}` : ""}`, aside);
  html("p", chosen.failure ? `Failed: ${chosen.failure}` : `${inWords(chosen)}. Proposed by ${chosen.origin || "nobody"}.`, aside);
  const counts = run.types.map((name, k) => [name, [...chosen.choices].filter(c => DIGITS.indexOf(c) === k).length, run.colours[k]]).filter(c => c[1]);
  const bar = html("div", undefined, aside); bar.className = "bar";
  for (const [name, count, colour] of counts) {
    const part = html("i", undefined, bar);
    part.style.cssText = `flex:${count};background:${colour}`; part.title = `${name}: ${count}`;
  }
  html("p", counts.map(c => `${c[1]} ${c[0]}`).join(", "), aside);
  const copy = html("button", "Copy its recipe", aside);
  copy.onclick = () => {
    const recipe = {};
    run.ops.forEach((name, i) => { const k = typeAt(chosen, i); if (k !== null) recipe[name] = run.types[k]; });
    const text = JSON.stringify(recipe, null, 1);
    const done = () => { copy.textContent = "Copied"; setTimeout(() => { copy.textContent = "Copy its recipe"; }, 1500); };
    // A page that was opened from a file may not use the clipboard; the text is shown then.
    const show = () => { const pre = html("pre", text, aside); getSelection().selectAllChildren(pre); };
    if (navigator.clipboard) navigator.clipboard.writeText(text).then(done, show); else show();
  };
  const other = shownTrial && shownTrial !== chosen ? shownTrial : null;
  const rows = run.ops.map((name, i) => [name, run.short[i], typeAt(chosen, i), other ? typeAt(other, i) : null]).filter(r => !other || r[2] !== r[3]);
  html("p", other ? `${rows.length} ops differ from the ${best()}:` : "Its ops:", aside);
  const list = html("div", undefined, aside); list.className = "scroll";
  const table = html("table", undefined, list);
  for (const [full, name, mine, theirs] of rows) {
    const row = html("tr", undefined, table);
    html("td", name, row).title = full;
    html("td", (other ? `${theirs === null ? "–" : run.types[theirs]} → ` : "") + (mine === null ? "–" : run.types[mine]), row);
  }
  list.scrollTop = scrolled;
  if (recipe) aside.appendChild(recipe);
}

function heat() {
  const holder = $("heat-plot");
  if (!run.ops.length || !models.length) return;
  const columns = [...models].sort((a, b) => a.ms - b.ms);
  const room = holder.clientWidth || 640, row = run.ops.length > 80 ? 9 : 13;
  const left = Math.min(room * 0.4, 12 + 6.4 * Math.max(...run.short.map(s => s.length)));
  const cell = Math.max(3, Math.min(26, (room - left - 8) / columns.length));
  const top = 34, width = Math.ceil(left + cell * columns.length + 8), height = top + row * run.ops.length + 24;
  const svg = canvas(holder, width, height, "Type of each op in each trial");
  const paths = run.types.map(() => ""), gap = cell > 6 ? 1 : 0;
  columns.forEach((t, c) => {
    element("rect", {x: left + c * cell, y: top - 10, width: cell - gap, height: 6, fill: t.met ? GOOD : "var(--line)"}, svg);
    for (let i = 0; i < run.ops.length;) {
      const k = typeAt(t, i); let end = i + 1;
      while (end < run.ops.length && typeAt(t, end) === k) end++;
      if (k !== null) paths[k] += `M${(left + c * cell).toFixed(1)} ${top + i * row}h${(cell - gap).toFixed(1)}v${(end - i) * row}h${(gap - cell).toFixed(1)}z`;
      i = end;
    }
  });
  paths.forEach((d, k) => element("path", {d, fill: run.colours[k]}, svg));
  run.ops.forEach((_, i) => {
    if (i) element("line", {x1: left, x2: width - 8, y1: top + i * row, y2: top + i * row, stroke: "var(--page)", "stroke-width": .7}, svg);
    const name = run.short[i], fits = Math.floor((left - 10) / 6.2);
    if (row >= 9) element("text", {x: left - 6, y: top + i * row + row - 3, "text-anchor": "end", "font-size": row > 10 ? 11 : 8}, svg, name.length > fits ? "…" + name.slice(1 - fits) : name);
  });
  for (const t of [byNumber.get(run.shown), chosen]) {
    const c = columns.indexOf(t);
    if (c >= 0) element("rect", {x: left + c * cell - 1, y: top - 12, width: cell + 1, height: row * run.ops.length + 14, fill: "none", stroke: t.n === run.shown ? MARK : "currentColor", "stroke-width": 1.5}, svg);
  }
  element("text", {x: left, y: 14, class: "dim"}, svg, "← faster");
  const cover = element("rect", {x: left, y: top - 12, width: cell * columns.length, height: row * run.ops.length + 12, fill: "transparent", style: "cursor:pointer"}, svg);
  const at = event => {
    const place = svg.getBoundingClientRect();
    const c = Math.floor((event.clientX - place.left - left) / cell), i = Math.floor((event.clientY - place.top - top) / row);
    return [columns[c], i];
  };
  cover.onpointermove = event => {
    const [t, i] = at(event);
    const k = t && i >= 0 && i < run.ops.length ? typeAt(t, i) : null;
    tell(event, t ? `${k === null ? "" : `${run.ops[i]}: ${run.types[k]} — `}${inWords(t)}` : "");
  };
  cover.onpointerleave = () => tell(null, "");
  cover.onclick = event => { const [t] = at(event); if (t) choose(t); };
}

function costs() {
  const holder = $("cost-plot"), all = run.contributions;
  const hasCost = all.some(r => r[4] !== null && r[4] !== 0);
  const panels = [["ms saved", 2, 3], hasCost ? ["accuracy cost", 4, 5] : ["output noise", 6, null]];
  const room = Math.max(holder.clientWidth || 640, 340), row = 15, top = 26;
  const left = Math.min(room * 0.36, 12 + 6.4 * Math.max(...all.map(r => r[0].length)));
  const height = top + row * all.length + 24, each = (room - left - 40) / 2;
  const svg = canvas(holder, room, height, "What each op's type saves and costs");
  all.forEach((r, i) => {
    const fits = Math.floor((left - 10) / 6.2);
    element("text", {x: left - 6, y: top + i * row + 11, "text-anchor": "end", "font-size": 11}, svg, r[0].length > fits ? "…" + r[0].slice(1 - fits) : r[0]);
  });
  panels.forEach(([name, value, error], p) => {
    const from = left + p * (each + 28), to = from + each;
    const ends = all.flatMap(r => r[value] === null ? [] : [r[value] - 1.96 * (error && r[error] || 0), r[value] + 1.96 * (error && r[error] || 0)]).concat([0]);
    const x = axis(ends, from, to);
    element("text", {x: from, y: 12}, svg, name);
    for (const v of ticks(x.low, x.high, Math.max(2, each / 80))) {
      element("line", {x1: x.at(v), x2: x.at(v), y1: top - 6, y2: height - 20, class: "grid"}, svg);
      element("text", {x: x.at(v), y: height - 6, "text-anchor": "middle", class: "dim"}, svg, short(v, 3));
    }
    all.forEach((r, i) => {
      const y = top + i * row;
      if (r[value] === null) { element("text", {x: x.at(0) + 3, y: y + 11, class: "dim"}, svg, "?"); return; }
      const a = x.at(Math.min(0, r[value])), b = x.at(Math.max(0, r[value]));
      const k = run.types.indexOf(r[1]);
      element("rect", {x: a, y: y + 2, width: Math.max(1, b - a), height: row - 4, fill: k < 0 ? FP32 : run.colours[k]}, svg);
      const e = error ? 1.96 * (r[error] || 0) : 0;
      if (e) element("line", {x1: x.at(r[value] - e), x2: x.at(r[value] + e), y1: y + row / 2, y2: y + row / 2, stroke: "currentColor", "stroke-opacity": .6}, svg);
      const cover = element("rect", {x: from, y, width: each, height: row, fill: "transparent"}, svg);
      cover.onpointermove = event => tell(event, `${r[0]} in ${r[1]}: ${name} ${short(r[value])}${e ? ` ± ${short(e, 2)}` : ""}`);
      cover.onpointerleave = () => tell(null, "");
    });
    element("line", {x1: x.at(0), x2: x.at(0), y1: top - 6, y2: height - 20, stroke: "currentColor"}, svg);
  });
}

function bounds() {
  const holder = $("bound-plot"), steps = run.others;
  if (!steps.length) return;
  const width = Math.min(holder.clientWidth || 640, 760), height = 280;
  const svg = canvas(holder, width, height, "Best speed over the loss of accuracy that is allowed");
  const box = {left: 46, right: width - 12, top: 24, bottom: height - 42};
  const allowed = run.target === null || !run.baseline ? null : 100 * Math.abs(run.baseline - run.target) / Math.abs(run.baseline);
  // A model that lost nearly everything would hide what happens near the bound.
  const most = Math.max(allowed === null ? 2 : 6 * allowed, 2);
  const inside = steps.filter(s => 100 * s[0] <= most);
  const x = axis([0, most].concat(inside.map(s => Math.max(100 * s[0], -most))), box.left, box.right);
  const y = axis([1].concat((inside.length ? inside : steps).map(s => s[2])), box.bottom, box.top);
  axes(svg, box, x, y, ["loss of accuracy allowed (% of FP32's)", "times FP32"]);
  let d = "";
  inside.forEach((s, i) => {
    const px = x.at(100 * s[0]).toFixed(1), py = y.at(s[2]).toFixed(1);
    d += i ? `H${px}V${py}` : `M${px} ${py}`;
  });
  if (d) element("path", {d: `${d}H${box.right}`, fill: "none", stroke: "currentColor", "stroke-width": 1.8}, svg);
  if (allowed !== null) {
    element("line", {x1: x.at(allowed), x2: x.at(allowed), y1: box.top, y2: box.bottom, stroke: "var(--bad)", "stroke-dasharray": "6 4", "stroke-width": 1.5}, svg);
    element("text", {x: x.at(allowed) + 4, y: box.bottom - 6, class: "dim"}, svg, "this run's bound");
  }
  for (const s of inside) {
    const cx = x.at(100 * s[0]), cy = y.at(s[2]);
    element("circle", {cx, cy, r: 4, fill: "currentColor"}, svg);
    const target = element("circle", {cx, cy, r: 12, fill: "transparent", style: "cursor:pointer"}, svg);
    target.onpointermove = event => tell(event, `${short(100 * s[0])} % loss: ${short(s[2])} times FP32 (trial ${s[3]})`);
    target.onpointerleave = () => tell(null, "");
    target.onclick = () => { if (byNumber.has(s[3])) choose(byNumber.get(s[3])); };
  }
}

function choose(t) {
  picked = true;
  chosen = t.same !== null && byNumber.has(t.same) ? byNumber.get(t.same) : t;
  scatter(); heat(); details(); mark();
}
function mark() {
  for (const row of document.querySelectorAll("#trials tbody tr"))
    row.classList.toggle("chosen", chosen !== null && Number(row.dataset.trial) === chosen.n);
}
let order = null;
function sortRows() {
  if (order === null) return;
  const body = document.querySelector("#trials tbody"), {place, up} = order;
  const key = row => { const text = row.cells[place].textContent; const n = parseFloat(text); return text === "–" ? null : Number.isNaN(n) ? text : n; };
  const rows = [...body.rows].map(row => [key(row), row]);
  // What has no figure stays at the end, whichever way.
  rows.sort(([a], [b]) => a === null ? (b === null ? 0 : 1) : b === null ? -1 :
    (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b))) * (up ? 1 : -1));
  body.append(...rows.map(r => r[1]));
}
function filterRows() {
  const wanted = $("filter").value.toLowerCase();
  for (const row of document.querySelector("#trials tbody").rows) row.hidden = !`${row.textContent} ${row.className}`.toLowerCase().includes(wanted);
}
function table() {
  const heads = [...document.querySelectorAll("#trials thead th")];
  document.querySelector("#trials tbody").onclick = event => {
    const row = event.target.closest("tr"), t = row && byNumber.get(Number(row.dataset.trial));
    if (t) choose(t);
  };
  heads.forEach((head, place) => {
    head.firstChild.onclick = () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach(h => h.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      order = {place, up};
      sortRows();
    };
  });
  $("filter").oninput = filterRows;
}
function contents() {
  const has = {trials: run.trials.length, choices: run.ops.length && models.length, contributions: run.contributions.some(r => r[2] || r[4] || r[6]), others: run.others.length};
  for (const part of document.querySelectorAll("section[data-needs]")) part.hidden = !has[part.dataset.needs];
  const links = [...document.querySelectorAll("h2[id]")].filter(head => !head.closest("[hidden]")).map(head => {
    const link = html("a", head.textContent);
    link.href = `#${head.id}`;
    return link;
  });
  document.querySelector("nav").replaceChildren(...links);
}
const isThere = id => !$(id).closest("[hidden]");
function draw() {
  tell(null, "");
  if (isThere("scatter-plot")) { scatter(); details(); }
  if (isThere("heat-plot")) heat();
  if (isThere("cost-plot")) costs();
  if (isThere("bound-plot")) bounds();
}

// A page that follows a run: whoever serves it has a new one from time to time.
const EVERY = 2000, AWAY = 3;
const asWritten = new Map([...document.querySelectorAll("[data-part]")].map(part => [part.dataset.part, part.innerHTML]));
function renew(page) {
  take(page);
  document.title = page.title;
  for (const part of page.querySelectorAll("[data-part]")) {
    const name = part.dataset.part, mine = document.querySelector(`[data-part="${name}"]`);
    if (mine === null || asWritten.get(name) === part.innerHTML) continue;
    asWritten.set(name, part.innerHTML);
    const open = [...mine.querySelectorAll("details")].map(one => one.open);
    mine.innerHTML = part.innerHTML;
    mine.querySelectorAll("details").forEach((one, place) => { one.open = Boolean(open[place]); });
  }
  sortRows();
  filterRows();
  contents();
  draw();
  mark();
}
function say(text) { $("live").hidden = !text; $("live").textContent = text; }
let known = null, away = 0;
async function follow() {
  try {
    const answer = await fetch(location.href, known === null ? {cache: "no-store"} : {headers: {"If-None-Match": known}});
    away = 0;
    if (answer.status === 200) {
      known = answer.headers.get("ETag");
      renew(new DOMParser().parseFromString(await answer.text(), "text/html"));
    }
  } catch { away += 1; }
  if (!run.running) say("");
  else if (away === AWAY) say("This page is not served any more: the run has ended, and its page is report.html in the run folder.");
  else setTimeout(follow, EVERY);
}

take(document);
contents();
table();
draw();
mark();
if (run.running) {
  const served = location.protocol.startsWith("http");
  say(served ? "This page follows the run by itself." : "Reload this page to see what came since.");
  if (served) setTimeout(follow, EVERY);
}
let waiting = null, wide = innerWidth;
addEventListener("resize", () => {
  if (innerWidth === wide) return;
  wide = innerWidth;
  clearTimeout(waiting);
  waiting = setTimeout(draw, 120);
});
})();
