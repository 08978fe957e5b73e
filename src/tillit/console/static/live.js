// The live page: rows that come as a stream; pause; filter.
//
// The stream is asked for with POST: a filter may name a person, and what is searched for stays out of addresses.

import { fetchPart, partFrom } from "./console.js";

const MOST_ROWS = 200;
const state = document.getElementById("state");
const stateText = document.getElementById("state-text");
const pause = document.getElementById("pause");
const filter = document.getElementById("filter");
const kind = document.getElementById("kind");
const notice = document.getElementById("notice");
const only = document.getElementById("only");
const from = document.getElementById("from");
const tools = document.getElementById("tools");
const holder = document.getElementById("list");
const pace = document.getElementById("pace");
const ASK_MS = 350;

let isPaused = false;
let isConnected = false;
let held = [];
let lostAt = 0;
let place = holder.querySelector("#events").dataset.after;
let listening = null;
let asking = 0;

const rowsNow = () => holder.querySelector("#events");
const isReading = () => rowsNow().querySelector('[aria-expanded="true"]') !== null;
const isHolding = () => isPaused || isReading();

function show() {
  const name = isHolding() ? "held" : isConnected ? "on" : "lost";
  state.dataset.state = name;
  stateText.textContent = isPaused ? "paused" : isReading() ? "held while you read" : isConnected ? "live" : "connecting";
  pause.setAttribute("aria-pressed", String(isPaused));
  pause.textContent = isPaused ? (held.length ? `Resume (${held.length} new)` : "Resume") : "Pause";
}

// What is there is sifted at once; the server, which looks further back, is asked a moment later.
function isWanted(row) {
  if (kind.value && row.dataset.kind !== kind.value) return false;
  if (only.value && (row.dataset.kind === "refused") !== (only.value === "refused")) return false;
  if (from.value && row.querySelector(".source").textContent.trim() !== from.value) return false;
  const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  const text = row.querySelector(".event-line").textContent.toLowerCase();
  return words.every((word) => text.includes(word));
}

function sift() {
  let n = 0;
  const rows = rowsNow().children;
  for (const row of rows) {
    row.hidden = !isWanted(row);
    if (!row.hidden) n += 1;
  }
  holder.querySelector("#unmatched").hidden = n > 0 || rows.length === 0;
}

function release() {
  if (isHolding() || held.length === 0) return;
  const rows = held;
  held = [];
  for (const row of rows) row.classList.add("is-new");
  const list = rowsNow();
  list.prepend(...rows);
  while (list.children.length > MOST_ROWS) list.lastElementChild.remove();
  holder.querySelector("#waiting").hidden = true;
  sift();
}

function fields(more) {
  const form = new FormData(tools);
  for (const [name, value] of Object.entries(more)) form.set(name, value);
  return new URLSearchParams(form);
}

function onRows(told) {
  held = [...partFrom(told.html).querySelectorAll(".event"), ...held].slice(0, MOST_ROWS);
  if (told.behind > 5000) {
    notice.textContent = `${told.behind.toLocaleString("en")} events are safe in the log and wait to be applied.`;
    notice.hidden = false;
  } else if (told.skipped > 0) {
    notice.textContent = "Events arrive faster than they can be shown; the newest are here.";
    notice.hidden = false;
  } else {
    notice.hidden = true;
  }
  release();
  show();
}

function onMessage(message) {
  const told = Object.fromEntries(message.split("\n").map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim()]));
  if (told.id) place = told.id;
  if (told.event === "rows") onRows(JSON.parse(told.data));
  else if (told.event === "pace") pace.replaceChildren(partFrom(JSON.parse(told.data).html));
}

async function read(stopping) {
  const token = document.querySelector('meta[name="form-token"]')?.content ?? "";
  const headers = { "X-Form-Token": token };
  const answer = await fetch("/console/live/stream", { method: "POST", body: fields({ after: place }), headers, signal: stopping.signal });
  if (!answer.ok) return answer.status === 401 || answer.status === 403;
  isConnected = true;
  lostAt = 0;
  notice.hidden = true;
  show();
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return false;
    rest += value;
    const messages = rest.split("\n\n");
    rest = messages.pop();
    messages.forEach(onMessage);
  }
}

async function listen() {
  const stopping = new AbortController();
  listening?.abort();
  listening = stopping;
  while (!stopping.signal.aborted) {
    let isOver = false;
    try {
      isOver = await read(stopping);
    } catch {
      // the server went away; it is asked again below
    }
    if (stopping.signal.aborted) return;
    isConnected = false;
    if (isOver) {
      notice.textContent = "The session has ended. Load the page again to sign in.";
      notice.hidden = false;
      show();
      return;
    }
    lostAt = lostAt || Date.now();
    if (Date.now() - lostAt > 2500) {
      notice.textContent = "The server does not answer. Nothing is lost: the page goes on when it does.";
      notice.hidden = false;
    }
    setTimeout(show, 800);
    await new Promise((wake) => setTimeout(wake, 500));
  }
}

async function ask() {
  listening?.abort();
  try {
    const part = await fetchPart("/console/live", { method: "POST", body: fields({}) });
    holder.replaceChildren(part);
    place = rowsNow().dataset.after;
    held = [];
  } catch {
    // the stream below says when the server does not answer
  }
  show();
  listen();
}

function filtered() {
  sift();
  clearTimeout(asking);
  asking = setTimeout(ask, ASK_MS);
}

pause.addEventListener("click", () => {
  isPaused = !isPaused;
  release();
  show();
});
document.addEventListener("tillit:toggled", () => {
  release();
  show();
});
tools.addEventListener("input", filtered);
tools.addEventListener("submit", (submit) => {
  submit.preventDefault();
  filtered();
});
document.getElementById("apply").hidden = true;
pause.hidden = false;
addEventListener("pagehide", () => listening?.abort());
show();
listen();
