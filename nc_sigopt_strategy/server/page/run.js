// A training run: what it logged, its checkpoints, its files.
import {all, ask, curve, facts, figure, html, moment, table} from "/parts.js";

const MOST_CHECKPOINTS = 1000;

export function runsTable(parent, runs) {
  const names = key => [...new Set(runs.flatMap(run => Object.keys(run[key])))];
  table(parent, [
    {name: "run", of: run => run.name, path: run => ["runs", run.id]},
    {name: "id", of: run => Number(run.id)},
    {name: "state", of: run => run.deleted ? "deleted" : run.state},
    ...names("values").map(name => ({name, of: run => run.values[name] ? run.values[name].value : null})),
    ...names("assignments").map(name => ({name, of: run => run.assignments[name]})),
    {name: "checkpoints", of: run => run.checkpoint_count},
    {name: "experiment", of: run => run.experiment === null ? null : Number(run.experiment)},
    {name: "begun", of: run => moment(run.created)},
  ], runs, run => run.state === "failed" ? "failed" : "");
}

function duration(seconds) {
  if (seconds < 120) return seconds + " s";
  return seconds < 7200 ? Math.round(seconds / 60) + " min" : figure(seconds / 3600) + " h";
}
function said(parent, title, text) {
  if (!text) return;
  html("h2", parent, title);
  html("pre", html("div", parent, null, {class: "wide tall"}), text);
}
function named(parent, title, entries) {
  if (!entries.length) return;
  html("h2", parent, title);
  facts(parent, entries.map(([name, value]) => [name, figure(value)]));
}
async function checkpoints(parent, run) {
  if (!run.checkpoint_count) return;
  const {items} = await all(["training_runs", run.id, "checkpoints"], MOST_CHECKPOINTS);
  items.reverse();
  const names = [...new Set(items.flatMap(checkpoint => checkpoint.values.map(value => value.name)))];
  const valueOf = (checkpoint, name) => {
    const found = checkpoint.values.find(value => value.name === name);
    return found ? found.value : null;
  };
  html("h2", parent, "Checkpoints");
  for (const name of names) curve(parent, {name, values: items.map(checkpoint => valueOf(checkpoint, name))});
  table(parent, [
    {name: "id", of: checkpoint => Number(checkpoint.id)},
    {name: "kept", of: checkpoint => moment(checkpoint.created)},
    ...names.map(name => ({name, of: checkpoint => valueOf(checkpoint, name)})),
  ], items);
}
async function files(parent, run) {
  if (!run.files.length) return;
  html("h2", parent, "Files");
  const list = html("ul", parent);
  for (const id of run.files) {
    // The server may have been started without its folder for files.
    const file = await ask(["files", id]).catch(() => null), line = html("li", list);
    if (file === null) { line.textContent = "file " + id; continue; }
    html("a", line, file.name || file.filename, {href: file.download.url});
    html("span", line, ` ${file.content_type}, ${figure(file.content_length)} bytes`, {class: "note"});
  }
}

export async function showRun(id) {
  const run = await ask(["training_runs", id]), page = html("div");
  html("h1", page, run.name);
  facts(page, [
    ["Run", run.id], ["Project", run.project, ["projects", run.client, run.project]],
    ["Experiment", run.experiment, ["experiments", run.experiment]],
    ["State", run.deleted ? run.state + ", deleted" : run.state],
    ["Begun", moment(run.created)],
    ["Ended", run.completed ? `${moment(run.completed)}, after ${duration(run.completed - run.created)}` : null],
    ["Model", run.model.type], ["Data", Object.keys(run.datasets).join(", ")],
    ["Source's hash", run.source_code.hash],
  ]);
  const values = Object.values(run.values);
  if (values.length) {
    html("h2", page, "Metrics");
    table(page, [
      {name: "metric", of: value => value.name}, {name: "value", of: value => value.value},
      {name: "standard deviation", of: value => value.value_stddev},
    ], values);
  }
  const parameters = Object.entries(run.assignments);
  if (parameters.length) {
    html("h2", page, "Parameters");
    table(page, [
      {name: "parameter", of: entry => entry[0]}, {name: "value", of: entry => entry[1]},
      {name: "from", of: entry => (run.assignments_meta[entry[0]] || {}).source},
    ], parameters);
  }
  await checkpoints(page, run);
  named(page, "Metadata", Object.entries(run.metadata || {}));
  named(page, "Metadata of the program", Object.entries(run.dev_metadata));
  for (const [name, log] of Object.entries(run.logs)) said(page, "Log: " + name, log.content);
  said(page, "Source code", run.source_code.content);
  await files(page, run);
  return page;
}
