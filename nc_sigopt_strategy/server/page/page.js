// The pages behind a token: all that is shown comes from the API.
import {$, KEPT, PAGE, all, ask, axis, facts, figure, hinted, html, link, moment, svg, table} from "/parts.js";
import {runsTable, showRun} from "/run.js";

const MOST_OBSERVATIONS = 5000, MOST_AXES = 12;
const main = document.getElementById("main"), front = [...main.childNodes];

// An experiment, its observations in order of arrival, and which of them are best.
class Experiment {
  constructor(document, observations, best, record) {
    Object.assign(this, document, {observations, record});
    this.names = this.parameters.map(parameter => parameter.name);
    this.optimized = this.metrics.filter(metric => (metric.strategy || "optimize") === "optimize");
    const chosen = best.map(one => JSON.stringify(one.id));
    this.best = new Set(observations.filter(o => chosen.includes(JSON.stringify(o.id))));
  }
  value(observation, metric) {
    const found = (observation.values || []).find(value => value.name === metric.name);
    return found ? found.value : null;
  }
  meets(observation) {
    return !observation.failed && this.metrics.every(metric => {
      const threshold = metric.threshold, value = this.value(observation, metric);
      if (threshold === null || threshold === undefined) return true;
      return value !== null && (metric.objective === "minimize" ? value <= threshold : value >= threshold);
    });
  }
}

function history(parent, experiment, metric) {
  const seen = experiment.observations.map((o, i) => ({o, n: i + 1, v: experiment.value(o, metric)})).filter(p => p.v !== null);
  if (!seen.length) return;
  html("h2", parent, "History of " + metric.name);
  const width = 760, height = 260, values = seen.map(p => p.v);
  const low = Math.min(...values), high = Math.max(...values);
  const x = axis(1, Math.max(2, experiment.observations.length), 70, width - 15), y = axis(low, high, height - 30, 15);
  const picture = svg("svg", {viewBox: `0 0 ${width} ${height}`, width, height, role: "img", id: "history",
    "aria-label": "values of " + metric.name + " in order of arrival"}, parent);
  for (const value of new Set([low, (low + high) / 2, high])) {
    svg("line", {x1: 70, x2: width - 15, y1: y(value), y2: y(value), class: "grid"}, picture);
    svg("text", {x: 64, y: y(value) + 4, "text-anchor": "end", class: "dim"}, picture, figure(value));
  }
  svg("text", {x: width - 15, y: height - 8, "text-anchor": "end", class: "dim"}, picture, "observation");
  const sign = metric.objective === "minimize" ? 1 : -1, corners = [];
  let best = null;
  for (const p of seen) {
    if (!experiment.meets(p.o) || (best !== null && sign * p.v >= sign * best)) continue;
    if (best !== null) corners.push([x(p.n), y(best)]);
    best = p.v;
    corners.push([x(p.n), y(best)]);
  }
  if (best !== null) corners.push([width - 15, y(best)]);
  svg("polyline", {points: corners.map(corner => corner.join()).join(" "), class: "run"}, picture);
  for (const p of seen) {
    const kind = experiment.best.has(p.o) ? " best" : experiment.meets(p.o) ? "" : " missed";
    const point = svg("circle", {cx: x(p.n), cy: y(p.v), r: kind === " best" ? 5 : 3.5, class: "point" + kind}, picture);
    hinted(point, `observation ${p.o.id}: ${metric.name} ${figure(p.v)}${experiment.meets(p.o) ? "" : ", misses a threshold"}`);
  }
  html("p", parent, "The line is the best so far of what meets all thresholds; hollow points miss one.", {class: "note"});
}

// How much of a metric's variance the values of a parameter explain: the correlation ratio, of numbers in five classes.
function importances(experiment, metric) {
  const seen = experiment.observations.filter(o => experiment.value(o, metric) !== null);
  if (seen.length < 8) return [];
  const values = seen.map(o => experiment.value(o, metric));
  const mean = values.reduce((sum, v) => sum + v, 0) / values.length;
  const total = values.reduce((sum, v) => sum + (v - mean) ** 2, 0);
  if (!total) return [];
  return experiment.parameters.map(parameter => {
    const at = seen.map(o => o.assignments[parameter.name]);
    const sorted = [...at].sort((a, b) => a - b);
    const kind = value => parameter.type === "categorical" ? value : Math.min(4, Math.floor(5 * sorted.indexOf(value) / sorted.length));
    const groups = new Map();
    at.forEach((value, i) => groups.set(kind(value), [...(groups.get(kind(value)) || []), values[i]]));
    let between = 0;
    for (const group of groups.values()) between += group.length * (group.reduce((s, v) => s + v, 0) / group.length - mean) ** 2;
    // What as many groups would explain by chance is taken off.
    const free = groups.size - 1, rest = Math.max(1, seen.length - groups.size);
    const share = between / total;
    return {name: parameter.name, share: Math.max(0, share - free / (free + rest) * (1 - share))};
  }).sort((a, b) => b.share - a.share);
}
function importance(parent, experiment, metric, shares) {
  if (!shares.length) return;
  html("h2", parent, "What " + metric.name + " depends on");
  const shown = shares.slice(0, 15), width = 760, row = 22;
  const picture = svg("svg", {viewBox: `0 0 ${width} ${row * shown.length + 6}`, width, height: row * shown.length + 6, role: "img",
    id: "importance", "aria-label": "share of the variance that each parameter explains"}, parent);
  shown.forEach((one, i) => {
    svg("text", {x: 250, y: i * row + 16, "text-anchor": "end"}, picture, one.name.length > 36 ? "…" + one.name.slice(-35) : one.name);
    const bar = svg("rect", {x: 258, y: i * row + 4, width: Math.max(1, 430 * one.share), height: row - 7, class: "bar"}, picture);
    svg("text", {x: 264 + 430 * one.share, y: i * row + 16, class: "dim"}, picture, Math.round(100 * one.share) + " %");
    hinted(bar, one.name);
  });
  html("p", parent, "The share of its variance that a parameter's value explains alone (the correlation ratio, numbers in five classes, " +
    "less what chance explains). Parameters that work only together show little.", {class: "note"});
}
function parallel(parent, experiment, metric, shares) {
  const order = shares.length ? shares.map(one => one.name) : experiment.names;
  const axes = order.slice(0, MOST_AXES).map(name => experiment.parameters.find(parameter => parameter.name === name));
  const seen = experiment.observations.filter(o => experiment.value(o, metric) !== null);
  if (seen.length < 2) return;
  html("h2", parent, "Parallel coordinates");
  const width = 1000, height = 300, top = 40, bottom = height - 30;
  const columns = [...axes.map(parameter => ({title: parameter.name, of: o => o.assignments[parameter.name],
    kinds: parameter.type === "categorical" ? parameter.categorical_values.map(value => value.name) : null})),
    {title: metric.name, of: o => experiment.value(o, metric), kinds: null}];
  const picture = svg("svg", {viewBox: `0 0 ${width} ${height}`, width, height, role: "img", id: "parallel",
    "aria-label": "assignments and values, a line for each observation"}, parent);
  columns.forEach((column, i) => {
    column.x = 60 + i * (width - 120) / (columns.length - 1);
    const numbers = seen.map(column.of);
    column.low = column.kinds ? 0 : Math.min(...numbers);
    column.high = column.kinds ? Math.max(1, column.kinds.length - 1) : Math.max(...numbers);
    const at = axis(column.low, column.high, bottom, top);
    column.y = o => at(column.kinds ? column.kinds.indexOf(column.of(o)) : column.of(o));
    svg("line", {x1: column.x, x2: column.x, y1: top, y2: bottom, class: "grid"}, picture);
    const title = svg("text", {x: column.x, y: i % 2 ? 28 : 14, "text-anchor": "middle"}, picture,
      column.title.length > 18 ? "…" + column.title.slice(-17) : column.title);
    hinted(title, column.title);
    for (const [k, text] of column.kinds ? column.kinds.entries() : [[column.low, figure(column.low)], [column.high, figure(column.high)]])
      svg("text", {x: column.x + 4, y: at(k) + (k === column.low ? 14 : 4), class: "dim"}, picture, String(text).slice(0, 10));
  });
  const values = seen.map(o => experiment.value(o, metric));
  const shade = axis(Math.min(...values), Math.max(...values), 0, 1);
  const last = [...seen].sort((a, b) => experiment.best.has(a) - experiment.best.has(b));
  for (const o of last) {
    const good = metric.objective === "minimize" ? 1 - shade(experiment.value(o, metric)) : shade(experiment.value(o, metric));
    const line = svg("polyline", {points: columns.map(c => c.x + "," + c.y(o)).join(" "),
      class: "line" + (experiment.best.has(o) ? " best" : ""), stroke: `hsl(${Math.round(30 + 180 * good)} 75% 45%)`}, picture);
    hinted(line, `observation ${o.id}: ${metric.name} ${figure(experiment.value(o, metric))}`);
  }
  if (experiment.names.length > MOST_AXES)
    html("p", parent, `The ${MOST_AXES} parameters of ${experiment.names.length} that explain most.`, {class: "note"});
}

function whatItIs(experiment) {
  const record = experiment.record;
  if (!record || !record.search_space) return [];
  const accuracy = experiment.metrics.find(metric => metric.name === "accuracy"), [best] = experiment.best;
  const latency = experiment.metrics.find(metric => metric.name === "latency");
  const reference = record.reference || {}, fp32 = reference.fp32_seconds ?? null;
  const seconds = best && latency ? experiment.value(best, latency) : null;
  return [
    ["Model", record.model],
    ["Made by", 'the tuning strategy "sigopt": each parameter is the type of an op'],
    ["Accuracy", best && accuracy ? figure(experiment.value(best, accuracy)) + " of the best" : null],
    ["FP32's accuracy", record.baseline_accuracy === undefined ? null : figure(record.baseline_accuracy)],
    ["Bound", record.accuracy_target === undefined ? (accuracy ? figure(accuracy.threshold) : null) : figure(record.accuracy_target)],
    ["Latency", seconds === null ? null : figure(1000 * seconds) + " ms of the best"],
    ["Speed-up", fp32 && seconds ? figure(fp32 / seconds) + " times FP32" : null],
  ];
}

async function showExperiment(id) {
  const path = ["experiments", id];
  const document_ = await ask(path).catch(error => {
    // Moved: it is an AI experiment, whose runs bring its observations.
    if (error.status === 301) return ask(["aiexperiments", id]);
    throw error;
  });
  const {items, whole} = await all([...path, "observations"], MOST_OBSERVATIONS);
  const best = (await all([...path, "best_assignments"], PAGE)).items;
  // SigOpt's own servers keep no such thing.
  const record = await ask([...path, "record"]).then(answer => answer.record, () => null);
  const experiment = new Experiment(document_, items.reverse(), best, record);
  const page = html("div");
  html("h1", page, experiment.name);
  const done = progressOf(experiment) ?? items.length, budget = experiment.observation_budget ?? experiment.budget;
  facts(page, [
    ["Experiment", experiment.id], ["Project", experiment.project, ["projects", experiment.client, experiment.project]], ["State", experiment.state],
    ["Begun", moment(experiment.created)], ["Last change", moment(experiment.updated)],
    [experiment.runs_only ? "Finished runs" : "Observations", budget ? `${done} of ${budget}` : done],
    ["Metrics", experiment.metrics.map(m => `${m.name} (${m.strategy || "optimize"}, ${m.objective || "maximize"}` +
      `${m.threshold === null || m.threshold === undefined ? "" : ", threshold " + figure(m.threshold)})`).join(", ")],
    ["Parameters", experiment.names.length],
    ...whatItIs(experiment),
  ]);
  if (!whole) html("p", page, `Shown are the latest ${items.length} observations.`, {class: "note"});
  for (const metric of experiment.optimized) {
    const shares = importances(experiment, metric);
    history(page, experiment, metric);
    importance(page, experiment, metric, shares);
    parallel(page, experiment, metric, shares);
  }
  if (experiment.runs_only) {
    const filters = JSON.stringify([{field: "experiment", operator: "==", value: experiment.id}]);
    const runs = await all(["clients", experiment.client, "projects", experiment.project, "training_runs"], PAGE, {filters});
    html("h2", page, "Runs");
    runsTable(page, runs.items);
  }
  html("h2", page, "Observations");
  table(page, [
    {name: "id", of: o => Number(o.id)},
    {name: "suggestion", of: o => o.suggestion === null ? null : Number(o.suggestion)},
    ...experiment.metrics.map(metric => ({name: metric.name, of: o => experiment.value(o, metric)})),
    {name: "state", of: o => o.failed ? "failed" : experiment.meets(o) ? "" : "misses"},
    {name: "reported", of: o => moment(o.created)},
    ...experiment.names.map(name => ({name, of: o => o.assignments[name]})),
  ], [...experiment.observations].reverse(), o => o.failed ? "failed" : experiment.best.has(o) ? "best" : "");
  const told = Object.entries(experiment.metadata || {});
  if (told.length) {
    html("h2", page, "Metadata");
    facts(page, told.map(([key, value]) => [key, figure(value)]));
  }
  return page;
}

const progressOf = e => e.progress ? e.progress.observation_count ?? e.progress.finished_run_count : null;
function experimentsTable(parent, experiments) {
  if (!experiments.length) { html("p", parent, "There are no experiments here."); return; }
  table(parent, [
    {name: "experiment", of: e => e.name, path: e => ["experiments", e.id]},
    {name: "id", of: e => Number(e.id)},
    {name: "project", of: e => e.project},
    {name: "state", of: e => e.state},
    {name: "observations", of: progressOf},
    {name: "budget", of: e => e.observation_budget ?? e.budget},
    {name: "parameters", of: e => e.parameters.length},
    {name: "metrics", of: e => e.metrics.map(metric => metric.name).join(", ")},
    {name: "last change", of: e => moment(e.updated)},
  ], experiments);
}
async function showAll() {
  const {client, experiment, training_run} = await ask(["tokens", "self"]), page = html("div");
  // All that a guest may see.
  if (training_run) return showRun(training_run);
  if (experiment) return showExperiment(experiment);
  const projects = (await all(["clients", client, "projects"], PAGE)).items;
  const experiments = await all(["clients", client, "experiments"], PAGE, {sort: "recent", include_ai: true});
  html("h1", page, "Experiments");
  experimentsTable(page, experiments.items);
  if (!experiments.whole) html("p", page, `The latest ${PAGE}; a project has its own.`, {class: "note"});
  if (!projects.length) return page;
  html("h2", page, "Projects");
  table(page, [
    {name: "project", of: p => p.id, path: p => ["projects", client, p.id]},
    {name: "name", of: p => p.name},
    {name: "experiments", of: p => p.experiment_count},
    {name: "runs", of: p => p.training_run_count},
    {name: "last change", of: p => moment(p.updated)},
  ], projects);
  return page;
}
async function showProject(client, id) {
  const page = html("div");
  html("h1", page, "Project " + id);
  const path = ["clients", client, "projects", id];
  const kinds = await Promise.all(["experiments", "aiexperiments"].map(kind => all([...path, kind], PAGE)));
  experimentsTable(page, kinds.flatMap(kind => kind.items));
  const {items, whole} = await all([...path, "training_runs"], PAGE);
  if (!items.length) return page;
  html("h2", page, "Runs");
  if (!whole) html("p", page, `The latest ${items.length}.`, {class: "note"});
  runsTable(page, items);
  return page;
}

const ROUTES = {projects: showProject, experiments: showExperiment, runs: showRun};
// An address that somebody else has written need not be one.
const decoded = part => { try { return decodeURIComponent(part); } catch { return part; } };
let latest = 0;
async function route() {
  const mine = ++latest, [kind, ...rest] = location.hash.replace(/^#\/?/, "").split("/").map(decoded);
  const inside = sessionStorage.getItem(KEPT) !== null;
  $("leave").hidden = !inside;
  $("where").textContent = rest[rest.length - 1] || "";
  if (!inside) { main.replaceChildren(...front); return; }
  main.setAttribute("aria-busy", "true");
  let page;
  try {
    page = await (Object.hasOwn(ROUTES, kind) ? ROUTES[kind](...rest) : showAll());
  } catch (error) {
    // SigOpt says 403 of a token that it does not know as of what one may not see.
    if ([401, 403].includes(error.status) && await ask(["tokens", "self"]).then(() => false, () => true)) {
      sessionStorage.removeItem(KEPT);
      await route();
      $("refused").textContent = error.message;
      return;
    }
    page = html("p", null, error.message, {role: "alert"});
  }
  if (mine !== latest) return;
  main.removeAttribute("aria-busy");
  main.replaceChildren(page);
}
$("enter").addEventListener("submit", event => {
  event.preventDefault();
  sessionStorage.setItem(KEPT, $("token").value.trim());
  $("token").value = "";
  $("refused").textContent = "";
  route();
});
$("leave").addEventListener("click", () => { sessionStorage.removeItem(KEPT); location.hash = "#/"; route(); });
addEventListener("hashchange", route);
route();
