// Search while typing. The text travels in the body, never in an address.

import { fetchPart } from "./console.js";

const form = document.getElementById("search");
const box = document.getElementById("query");
const results = document.getElementById("results");
const told = document.getElementById("told");

let asked = 0;
let timer = 0;

async function search() {
  asked += 1;
  const mine = asked;
  try {
    const part = await fetchPart("/console/customers", { method: "POST", body: new URLSearchParams({ query: box.value }) });
    if (mine !== asked) return; // an answer to what is no longer in the box
    results.replaceChildren(part);
    told.textContent = results.querySelector("#found h2, p#found")?.textContent ?? "";
  } catch {
    if (mine === asked) results.textContent = "The search did not work. Is the server still running?";
  }
}

box.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(search, 120);
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  clearTimeout(timer);
  search();
});

// Arrows walk from the box through the results.
document.addEventListener("keydown", (key) => {
  if (key.key !== "ArrowDown" && key.key !== "ArrowUp") return;
  const stops = [box, ...results.querySelectorAll("a.person")];
  const at = stops.indexOf(document.activeElement);
  if (at < 0) return;
  const next = stops[at + (key.key === "ArrowDown" ? 1 : -1)];
  if (!next) return;
  key.preventDefault();
  next.focus();
});

if (location.hash === "#query" || !matchMedia("(pointer: coarse)").matches) box.focus();
