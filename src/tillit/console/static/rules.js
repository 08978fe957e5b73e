// Identity rules: how far a try or a change is; the cursor where the text is wrong.

import { fetchPart } from "./console.js";

const ASK_MS = 700;
const place = document.getElementById("follow");
const text = document.getElementById("text");

async function follow() {
  if (!place?.querySelector('[data-open="yes"]')) return;
  try {
    const part = await fetchPart(location.pathname);
    const goes = part.querySelector("[data-open]");
    if (goes.dataset.open === "no") {
      location.reload();
      return;
    }
    if (!place.contains(document.activeElement)) place.replaceChildren(part);
  } catch {
    // asked again below
  }
  setTimeout(follow, ASK_MS);
}

follow();

if (text?.dataset.line > 0) {
  const lines = text.value.split("\n");
  const at = Number(text.dataset.line) - 1;
  const from = lines.slice(0, at).join("\n").length + (at > 0 ? 1 : 0);
  text.focus();
  text.setSelectionRange(from, from + lines[at].length);
  text.scrollTop = Math.max(at - 4, 0) * parseFloat(getComputedStyle(text).lineHeight);
}
