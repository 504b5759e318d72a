"use strict";
(() => {
const data = JSON.parse(document.getElementById("items-data").textContent);
if (!data.runs.length) return;
const pageSize = 10;
const $ = (id) => document.getElementById(id);
let page = 0;
let found = [];

function make(tag, text, className) {
  const node = document.createElement(tag);
  if (text !== undefined) node.textContent = text;
  if (className) node.className = className;
  return node;
}

/* Keeps the choice where the new options still have it. */
function fill(select, options) {
  const before = select.value;
  select.replaceChildren();
  for (const [value, label] of options) {
    const option = make("option", label);
    option.value = value;
    select.append(option);
  }
  if (options.some(([value]) => value === before)) select.value = before;
  select.parentElement.hidden = options.length < 2;
}

const run = () => data.runs[Number($("f-run").value) || 0];
const unique = (values) => [...new Set(values)];
const named = (values) => values.map((value) => [value, value]);

function fillFilters() {
  const now = run();
  const records = now.items.flatMap((item) => item.records);
  const scored = records.some((r) => r.correct !== undefined);
  const reasons = unique(records.map((r) => r.fallback).filter(Boolean));
  fill($("f-arm"), now.arms.map((arm, i) => [String(i), arm]));
  fill($("f-group"), [["", "all"], ...named(unique(now.items.map((item) => item.group)))]);
  fill($("f-outcome"), !scored ? [["", "all"]] : [["", "all"], ["right", "right"], ["wrong", "wrong"],
    ["gained", "right, plain is wrong"], ["lost", "wrong, plain is right"]]);
  fill($("f-fallback"), !reasons.length ? [["", "all"]] :
    [["", "all"], ["-", "none"], ["+", "any"], ...named(reasons)]);
  const seeds = named(unique(records.map((r) => String(r.seed))));
  fill($("f-seed"), seeds.length > 1 ? [["", "all"], ...seeds] : [["", "all"]]);
}

function outcomeFits(want, record, plain) {
  switch (want) {
  case "right": return record.correct === true;
  case "wrong": return record.correct === false;
  case "gained": return record.correct === true && !!plain && plain.correct === false;
  case "lost": return record.correct === false && !!plain && plain.correct === true;
  default: return true;
  }
}

function search() {
  const now = run();
  const arm = Number($("f-arm").value);
  const plainArm = now.arms.indexOf("plain");
  const group = $("f-group").value, outcome = $("f-outcome").value;
  const fallback = $("f-fallback").value, seed = $("f-seed").value;
  const text = $("f-text").value.trim().toLowerCase();
  found = [];
  for (const item of now.items) {
    if (group && item.group !== group) continue;
    if (text && !(item.id + "\n" + item.x).toLowerCase().includes(text)) continue;
    for (const record of item.records) {
      if (record.arm !== arm || (seed && String(record.seed) !== seed)) continue;
      if (fallback === "-" ? record.fallback : fallback === "+" ? !record.fallback
          : fallback && record.fallback !== fallback) continue;
      const plain = item.records.find((r) => r.arm === plainArm && r.seed === record.seed);
      if (outcomeFits(outcome, record, plain)) found.push({ item, record, plain });
    }
  }
  page = 0;
  show();
}

/* x with what was removed struck through and what distracts marked. */
function marked(item, record) {
  const node = make("div", undefined, "said");
  const cuts = [0, item.x.length];
  for (const [start, end] of [...item.distractors, ...record.removed]) cuts.push(start, end);
  const sorted = unique(cuts).sort((a, b) => a - b);
  const within = (spans, at) => spans.some(([start, end]) => start <= at && at < end);
  for (let i = 0; i + 1 < sorted.length; i++) {
    let part = document.createTextNode(item.x.slice(sorted[i], sorted[i + 1]));
    for (const [tag, spans] of [["del", record.removed], ["mark", item.distractors]]) {
      if (!within(spans, sorted[i])) continue;
      const outer = make(tag);
      outer.append(part);
      part = outer;
    }
    node.append(part);
  }
  return node;
}

function block(title, content) {
  const node = make("div");
  const body = typeof content === "string" ? make("div", content, "said") : content;
  body.tabIndex = 0;
  body.setAttribute("role", "group");
  body.setAttribute("aria-label", title);
  node.append(make("h4", title), body);
  return node;
}

function verdict(record) {
  const words = [];
  if (record.correct !== undefined) words.push(record.correct ? "right" : "wrong");
  if (record.follows) words.push("follows the wrong suggestion");
  if (record.judged) words.push("sentiment " + record.judged[0] + ", quality " + record.judged[1]);
  if (record.cut) words.push("cut at the token limit");
  return words.join(", ");
}

const cost = (usage) => usage[0] + " + " + usage[1] + " tokens, " + usage[2] + " ms";

function tags(item, record) {
  const list = make("ul", undefined, "tags");
  const add = (text, className) => list.append(make("li", text, className));
  if (record.correct !== undefined) add(record.correct ? "right" : "wrong", record.correct ? "good" : "bad");
  if (record.follows) add("follows the wrong suggestion", "bad");
  if (record.fallback) add("fallback: " + record.fallback, "bad");
  if (record.rewritten === null) add("x' = x");
  add("group: " + item.group);
  if (item.k) add("k = " + item.k);
  add("seed " + record.seed);
  if (record.step1[0] + record.step1[1] > 0) add("step 1: " + cost(record.step1));
  add("step 2: " + cost(record.step2));
  return list;
}

function card({ item, record, plain }) {
  const arm = run().arms[record.arm];
  const node = make("article");
  const head = make("h3", item.id);
  node.append(head, tags(item, record));
  const prompts = make("div", undefined, "columns");
  prompts.append(block("Prompt x", marked(item, record)));
  prompts.append(block("Rewritten prompt x' (" + arm + ")", record.rewritten === null ?
    make("p", "the same as x", "soft") : record.rewritten));
  const answers = make("div", undefined, "columns");
  const answer = (name, r) => block("Answer, " + name + (verdict(r) ? ": " + verdict(r) : ""), r.answer || "");
  if (plain && plain !== record) answers.append(answer("plain", plain));
  answers.append(answer(arm, record));
  node.append(prompts, answers);
  if (item.aliases.length) node.append(make("h4", "Right answers"), make("div", item.aliases.join(" · ")));
  if (item.wrong !== null) node.append(make("h4", "Wrong suggestion"), make("div", item.wrong));
  return node;
}

function show() {
  const from = page * pageSize, shown = found.slice(from, from + pageSize);
  $("list").replaceChildren(...shown.map(card));
  $("status").textContent = found.length === 0 ? "No answer fits the filters." :
    "Answers " + (from + 1) + " to " + (from + shown.length) + " of " + found.length + ".";
  $("previous").disabled = page === 0;
  $("next").disabled = from + pageSize >= found.length;
}

function turn(by) {
  page += by;
  show();
  $("status").scrollIntoView();
}

fill($("f-run"), data.runs.map((r, i) => [String(i), r.task + ", " + r.model]));
fillFilters();
/* An arm with a step 1 says more than the first one, which is plain. */
const first = run().arms.findIndex((arm) => arm === "rewrite" || arm === "select");
if (first >= 0) $("f-arm").value = String(first);
$("f-run").addEventListener("change", () => { fillFilters(); search(); });
for (const id of ["f-arm", "f-group", "f-outcome", "f-fallback", "f-seed"]) $(id).addEventListener("change", search);
$("f-text").addEventListener("input", search);
$("filters").addEventListener("submit", (event) => event.preventDefault());
$("previous").addEventListener("click", () => turn(-1));
$("next").addEventListener("click", () => turn(1));
$("browser").hidden = false;
search();
})();
