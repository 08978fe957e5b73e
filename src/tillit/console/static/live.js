// The live page: rows that come by server-sent events; pause; filter.

import { partFrom } from "./console.js";

const MOST_ROWS = 200;
const list = document.getElementById("events");
const state = document.getElementById("state");
const stateText = document.getElementById("state-text");
const pause = document.getElementById("pause");
const filter = document.getElementById("filter");
const kind = document.getElementById("kind");
const notice = document.getElementById("notice");
const unmatched = document.getElementById("unmatched");
const waiting = document.getElementById("waiting");
const pace = document.getElementById("pace");

let isPaused = false;
let isConnected = false;
let held = [];
let lostAt = 0;

const isReading = () => list.querySelector('[aria-expanded="true"]') !== null;
const isHolding = () => isPaused || isReading();

function show() {
  const name = isHolding() ? "held" : isConnected ? "on" : "lost";
  state.dataset.state = name;
  stateText.textContent = isPaused ? "paused" : isReading() ? "held while you read" : isConnected ? "live" : "connecting";
  pause.setAttribute("aria-pressed", String(isPaused));
  pause.textContent = isPaused ? (held.length ? `Resume (${held.length} new)` : "Resume") : "Pause";
}

function isWanted(row) {
  if (kind.value && row.dataset.kind !== kind.value) return false;
  const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  const text = row.querySelector(".event-line").textContent.toLowerCase();
  return words.every((word) => text.includes(word));
}

function sift() {
  let n = 0;
  for (const row of list.children) {
    row.hidden = !isWanted(row);
    if (!row.hidden) n += 1;
  }
  unmatched.hidden = n > 0 || list.children.length === 0;
}

function release() {
  if (isHolding() || held.length === 0) return;
  const rows = held;
  held = [];
  for (const row of rows) row.classList.add("is-new");
  list.prepend(...rows);
  while (list.children.length > MOST_ROWS) list.lastElementChild.remove();
  waiting.hidden = true;
  sift();
}

const stream = new EventSource(`/console/live/stream?after=${list.dataset.after}`);

stream.addEventListener("open", () => {
  isConnected = true;
  notice.hidden = true;
  show();
});

stream.addEventListener("error", () => {
  isConnected = false;
  if (stream.readyState === EventSource.CLOSED) {
    notice.textContent = "The session has ended. Load the page again to sign in.";
    notice.hidden = false;
  } else {
    lostAt = lostAt || Date.now();
    setTimeout(() => {
      if (isConnected) {
        lostAt = 0;
      } else if (Date.now() - lostAt > 2500) {
        notice.textContent = "The server does not answer. Nothing is lost: the page goes on when it does.";
        notice.hidden = false;
      }
    }, 3000);
  }
  setTimeout(show, 800);
});

stream.addEventListener("rows", (message) => {
  const told = JSON.parse(message.data);
  held = [...partFrom(told.html).querySelectorAll(".event"), ...held].slice(0, MOST_ROWS);
  if (told.behind > 5000) {
    notice.textContent = `${told.behind.toLocaleString("en")} events are safe in the log and wait to be applied.`;
    notice.hidden = false;
  } else if (told.skipped > 0) {
    notice.textContent = "Events arrive faster than they can be shown; the newest are here.";
    notice.hidden = false;
  } else if (isConnected) {
    notice.hidden = true;
  }
  release();
  show();
});

stream.addEventListener("pace", (message) => {
  pace.replaceChildren(partFrom(JSON.parse(message.data).html));
});

pause.addEventListener("click", () => {
  isPaused = !isPaused;
  release();
  show();
});
document.addEventListener("tillit:toggled", () => {
  release();
  show();
});
filter.addEventListener("input", sift);
kind.addEventListener("input", sift);
sift();
show();
