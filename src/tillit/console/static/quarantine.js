// Quarantine: all of a page at one tick, progress while many are replayed, JSON looked at while it is written.

import { fetchPart } from "./console.js";

const box = document.getElementById("tick-all");
const told = document.getElementById("replayed");
const text = document.getElementById("text");
const state = document.getElementById("json-state");

if (box) {
  box.hidden = false;
  document.getElementById("tick-all-text").hidden = false;
  box.addEventListener("input", () => {
    for (const one of document.querySelectorAll('#selected input[name="id"]')) one.checked = box.checked;
  });
}

// Many are judged in parts: each answer says how many so far and holds the form for the next.
async function replayAll(form) {
  let fields = new URLSearchParams(new FormData(form));
  for (const button of document.querySelectorAll("button")) if (button.form?.action === form.action) button.disabled = true;
  for (;;) {
    const part = await fetchPart(form.action, { method: "POST", body: fields });
    told.replaceChildren(part);
    const next = told.querySelector(".replay-more");
    if (!next) break;
    fields = new URLSearchParams(new FormData(next));
    next.hidden = true;
  }
  const line = told.querySelector("[data-told]");
  if (line) {
    const again = document.createElement("a");
    again.href = location.href;
    again.textContent = "Show what still waits";
    line.append(" ", again);
  }
}

for (const form of document.querySelectorAll(".replay-all")) {
  form.addEventListener("submit", (submit) => {
    submit.preventDefault();
    replayAll(form).catch(() => form.submit());
  });
}

function judge() {
  try {
    JSON.parse(text.value);
    state.textContent = "This is valid JSON.";
  } catch (fault) {
    state.textContent = `Not valid JSON yet: ${fault.message}`;
  }
}

if (text && state) {
  text.addEventListener("input", judge);
  judge();
}
