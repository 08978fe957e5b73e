// Sources: waiting for the first event, and fields that belong to one kind of key.

import { fetchPart } from "./console.js";

const ASK_MS = 500;

async function wait() {
  const place = document.getElementById("heard");
  if (!place || place.dataset.heard === "yes") return;
  try {
    const part = await fetchPart(place.dataset.ask);
    const fresh = part.querySelector("#heard");
    // Said again only when there is news: a screen reader would repeat it twice a second.
    if (fresh.textContent !== place.textContent) place.replaceWith(fresh);
    else place.dataset.ask = fresh.dataset.ask;
  } catch {
    // asked again below
  }
  setTimeout(wait, ASK_MS);
}

const kinds = document.querySelectorAll('input[name="kind"]');

function fit() {
  const kind = document.querySelector('input[name="kind"]:checked')?.value;
  for (const one of document.querySelectorAll(".of-public")) one.hidden = kind !== "public";
  for (const one of document.querySelectorAll(".of-api")) one.hidden = kind !== "api";
}

for (const one of kinds) one.addEventListener("input", fit);
if (kinds.length) fit();
wait();
