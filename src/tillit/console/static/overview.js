// The overview, kept up: its parts are asked for again every few seconds, and lines are drawn from their tables.

import { fetchPart } from "./console.js";

const EVERY_MS = 3000;
const whole = document.getElementById("overview");
const state = document.getElementById("state");
const stateText = document.getElementById("state-text");
const alarmTold = document.getElementById("alarm-told");
const plots = new Map();

const two = (n) => String(n).padStart(2, "0");
const clockOf = (second) => {
  const moment = new Date(second * 1000);
  return `${two(moment.getHours())}:${two(moment.getMinutes())}`;
};
// A token names two colours; which one counts here is asked of an element that has it.
const probe = document.createElement("i");
probe.hidden = true;
whole.before(probe);
const colour = (name) => {
  probe.style.color = `var(${name})`;
  return getComputedStyle(probe).color;
};

function readTable(table) {
  const at = [];
  const rates = [];
  for (const row of table.tBodies[0].rows) {
    at.push(Date.parse(row.querySelector("time").dateTime) / 1000);
    rates.push(Number(row.cells[2].textContent));
  }
  return [at, rates];
}

function draw() {
  for (const place of whole.querySelectorAll(".chart")) {
    const data = readTable(document.getElementById(place.dataset.table));
    const old = plots.get(place.id);
    if (old && old.root.parentElement === place) {
      old.setData(data);
      continue;
    }
    old?.destroy();
    const axis = { stroke: colour("--muted"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
    const options = {
      width: Math.max(place.clientWidth, 120),
      height: 190,
      cursor: { y: false, drag: { setScale: false } },
      legend: { show: true, live: true },
      scales: { y: { range: (_, low, high) => [0, Math.max(high * 1.1, 0.1)] } },
      axes: [{ ...axis, space: 70, values: (_, places) => places.map(clockOf) }, { ...axis, size: 48, space: 36 }],
      series: [
        { label: "From", value: (_, at) => (at == null ? "–" : clockOf(at)) },
        { label: "Events a second", stroke: colour("--accent"), fill: colour("--accent-soft"), width: 1.75, points: { show: false }, value: (_, n) => (n == null ? "–" : n.toFixed(n < 10 ? 2 : 0)) },
      ],
    };
    place.replaceChildren();
    plots.set(place.id, new uPlot(options, data, place));
    place.querySelector("canvas").setAttribute("aria-hidden", "true");
  }
}

// Charts stay while numbers change under them: only their tables are exchanged.
function exchange(part) {
  const fresh = document.createElement("div");
  fresh.append(part);
  for (const table of fresh.querySelectorAll("table[id]")) {
    document.getElementById(table.id)?.tBodies[0].replaceWith(table.tBodies[0]);
  }
  for (const head of fresh.querySelectorAll(".chart-panel")) {
    const id = head.getAttribute("aria-labelledby");
    whole.querySelector(`[aria-labelledby="${id}"] .chart-head .fine`)?.replaceWith(head.querySelector(".chart-head .fine"));
  }
  const before = new Set([...whole.querySelectorAll(".alarm")].map((one) => one.dataset.code));
  for (const name of ["alarms", "tiles", "rest"]) {
    const [old, young] = [whole, fresh].map((root) => root.querySelector(`[data-part="${name}"]`));
    // A link that somebody has reached with the keyboard is not taken from under them.
    if (old && young && old.innerHTML !== young.innerHTML && !old.contains(document.activeElement)) old.replaceWith(young);
  }
  if (!fresh.querySelector('[data-part="start"]')) whole.querySelector('[data-part="start"]')?.remove();
  const raised = [...whole.querySelectorAll(".alarm")].filter((one) => !before.has(one.dataset.code));
  if (raised.length) alarmTold.textContent = raised.map((one) => one.querySelector("h2").textContent).join(". ");
  draw();
}

async function ask() {
  if (!document.hidden) {
    try {
      exchange(await fetchPart("/console"));
      state.dataset.state = "on";
      stateText.textContent = "live";
    } catch {
      state.dataset.state = "lost";
      stateText.textContent = "the server does not answer";
    }
  }
  setTimeout(ask, EVERY_MS);
}

function redraw() {
  for (const plot of plots.values()) plot.destroy();
  plots.clear();
  draw();
}

let isWaiting = 0;
window.addEventListener("resize", () => {
  clearTimeout(isWaiting);
  isWaiting = setTimeout(redraw, 150);
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
new MutationObserver(redraw).observe(document.documentElement, { attributeFilter: ["data-theme"] });
draw();
setTimeout(ask, EVERY_MS);
