// The builder: rows change in place, the count follows, every change can be undone.
// The fields of the form are the one truth: what a step back puts there is what they were.

import { fetchPart } from "./console.js";

const PAUSE_MS = 350;
const BUILD = "/console/audiences/build";
const PREVIEW = "/console/audiences/preview";
const form = document.getElementById("builder");
const rows = document.getElementById("rows");
const preview = document.getElementById("preview");
const said = document.getElementById("said-count");
const undo = document.getElementById("undo");
const redo = document.getElementById("redo");

const before = [];
const after = [];
let asked = 0;
let timer = 0;
let timerOfRest = 0;
let isCounting = false;
let isStale = false;
let working = Promise.resolve();

const written = (act = "show") => {
  const told = new URLSearchParams(new FormData(form));
  told.set("act", act);
  return told;
};
let now = written().toString();

function remember() {
  const then = now;
  now = written().toString();
  if (then === now) return;
  before.push(then);
  after.length = 0;
  tell();
}

function tell() {
  undo.disabled = !before.length;
  redo.disabled = !after.length;
}

// Says of each row what it means or lacks, without touching a field that somebody writes in.
function mark(part) {
  for (const [from, prefix] of [["row-faults", "fault-"], ["row-sentences", "said-"]]) {
    const told = new Map([...part.querySelectorAll(`#${from} li`)].map((one) => [one.dataset.row, one.textContent]));
    for (const place of form.querySelectorAll(`[id^="${prefix}d"]`)) {
      const words = told.get(place.id.slice(prefix.length)) ?? "";
      place.textContent = words;
      if (prefix === "fault-") place.hidden = !words;
    }
  }
}

// Takes longer than the count, so it is asked for when nothing more was changed.
async function drawRest(place) {
  try {
    place.replaceChildren(await fetchPart(`${PREVIEW}/rest`, { method: "POST", body: written() }));
  } catch {
    place.replaceChildren();
  }
}

// One at a time: a count of a large workspace takes its while, and only the last one matters.
async function count() {
  if (isCounting) {
    isStale = true;
    return;
  }
  isCounting = true;
  clearTimeout(timerOfRest);
  preview.setAttribute("aria-busy", "true");
  const nothing = preview.querySelector(".empty");
  if (nothing) nothing.textContent = "Counting…";
  do {
    isStale = false;
    try {
      const part = await fetchPart(PREVIEW, { method: "POST", body: written() });
      if (isStale) continue; // an answer to what is no longer in the form
      mark(part);
      const number = part.querySelector("#live-count");
      // What was drawn of the count before stays until it is drawn anew.
      const shown = preview.querySelector("#preview-rest");
      const waits = part.querySelector("#preview-rest[data-waits]");
      if (shown && waits) waits.replaceChildren(...shown.childNodes);
      preview.replaceChildren(part);
      said.textContent = number ? `${number.textContent} people` : "Not counted yet";
      if (waits) timerOfRest = setTimeout(() => drawRest(waits), PAUSE_MS);
    } catch {
      preview.textContent = "It could not be counted. Is the server still running?";
    }
  } while (isStale);
  isCounting = false;
  preview.removeAttribute("aria-busy");
}

function lost() {
  working = Promise.resolve();
  preview.textContent = "The rows could not be changed. Is the server still running?";
}

function countSoon() {
  clearTimeout(timer);
  timer = setTimeout(count, PAUSE_MS);
}

function focusOn(id, act) {
  const [word, place = ""] = act.split(" ");
  if (word.startsWith("add")) {
    const last = [...rows.querySelectorAll(`[name^="${place}."]`)].filter((one) => one.type !== "hidden");
    const least = last.length ? Math.max(...last.map((one) => Number(one.name.slice(place.length + 1).split(".")[0]))) : 0;
    const fresh = last.find((one) => one.name.startsWith(`${place}.${least}.`) && one.tagName === "INPUT")
      ?? last.find((one) => one.name.startsWith(`${place}.${least}.`));
    if (fresh) return fresh.focus();
  }
  const same = id && document.getElementById(id);
  if (same) return same.focus();
  const button = act && rows.querySelector(`button[value="${CSS.escape(act)}"]:not([disabled])`);
  if (button) return button.focus();
  const near = place && document.getElementById(`row-${place}`);
  (near ?? rows.querySelector("button"))?.focus();
}

const keyOf = (node) => node.id || (node.tagName === "BUTTON" && node.value) || "";

// Makes children what others are, and keeps each that is there already: whoever writes in a field, or is about to press
// a button, finds it where it was. What is in the fields of `kept` names stays.
function become(old, fresh, kept) {
  const known = new Map([...old.children].filter(keyOf).map((one) => [keyOf(one), one]));
  let next = old.firstChild;
  for (const wanted of [...fresh.childNodes]) {
    const key = wanted.nodeType === Node.ELEMENT_NODE ? keyOf(wanted) : "";
    let same = key ? known.get(key) : next;
    if (!same || same.nodeName !== wanted.nodeName || (!key && same.nodeType === Node.ELEMENT_NODE && keyOf(same))) same = null;
    if (!same) {
      old.insertBefore(wanted, next);
      continue;
    }
    if (same === next) next = next.nextSibling;
    else old.insertBefore(same, next);
    if (same.nodeType !== Node.ELEMENT_NODE) {
      if (same.data !== wanted.data) same.data = wanted.data;
      continue;
    }
    for (const { name } of [...same.attributes]) if (!wanted.hasAttribute(name)) same.removeAttribute(name);
    for (const { name, value } of wanted.attributes) if (same.getAttribute(name) !== value) same.setAttribute(name, value);
    become(same, wanted, kept);
    // What is in a field is not what its attributes say, once somebody wrote in it.
    if (kept.has(same.name)) continue;
    if ("checked" in same && same.checked !== wanted.checked) same.checked = wanted.checked;
    if (same.matches("input, select, textarea") && same.value !== wanted.value) same.value = wanted.value;
  }
  while (next) {
    const gone = next;
    next = next.nextSibling;
    gone.remove();
  }
}

// Says whether somebody went on to another field or button than the one that asked.
function hasGoneOn(id, act) {
  const here = document.activeElement;
  return rows.contains(here) && keyOf(here) !== (id || act);
}

// Lets the server draw the rows anew, as they are or as they were.
async function draw(body, { id = "", act = "" } = {}) {
  asked += 1;
  const mine = asked;
  const sent = new Map(new FormData(form));
  const part = await fetchPart(BUILD, { method: "POST", body });
  if (mine !== asked) return;
  // What somebody went on writing meanwhile stays where its row did.
  const late = act.startsWith("add") || act === "show"
    ? [...new FormData(form)].filter(([name, value]) => sent.has(name) && sent.get(name) !== value) : [];
  become(rows, part, new Set(late.map(([name]) => name)));
  if ((id || act) && !hasGoneOn(id, act)) focusOn(id, act);
}

// One after the other: each begins from what the one before left.
function change(act, id = "") {
  working = working.then(() => draw(written(act), { id, act })).then(() => {
    remember();
    countSoon();
  });
  return working;
}

async function step(from, to) {
  const then = from.pop();
  if (then === undefined) return;
  to.push(now);
  const told = new URLSearchParams(then);
  for (const name of ["title", "name", "purpose", "description"]) {
    const field = form.elements.namedItem(name);
    if (field && told.has(name)) field.value = told.get(name);
  }
  told.set("form_token", form.elements.namedItem("form_token").value);
  await draw(told);
  now = written().toString();
  tell();
  countSoon();
}

if (form && rows) {
  document.getElementById("count").hidden = true;
  for (const button of [undo, redo]) button.hidden = false;
  undo.addEventListener("click", () => step(before, after));
  redo.addEventListener("click", () => step(after, before));

  form.addEventListener("submit", (submit) => {
    const act = submit.submitter?.value ?? "";
    if (act === "count") {
      submit.preventDefault();
      count();
    } else if (rows.contains(submit.submitter)) {
      submit.preventDefault();
      change(act).catch(lost);
    }
  });
  form.addEventListener("input", countSoon);
  form.addEventListener("change", (changed) => {
    if (changed.target.matches("[data-shapes]")) change("show", changed.target.id).catch(lost);
    else {
      remember();
      countSoon();
    }
  });
  document.addEventListener("keydown", (key) => {
    if (!(key.ctrlKey || key.metaKey) || key.altKey || key.target.closest("input, textarea")) return;
    const letter = key.key.toLowerCase();
    if (letter === "z" && !key.shiftKey) step(before, after);
    else if (letter === "y" || (letter === "z" && key.shiftKey)) step(after, before);
    else return;
    key.preventDefault();
  });
  count();
} else if (form) {
  form.addEventListener("input", countSoon);
  count();
}
