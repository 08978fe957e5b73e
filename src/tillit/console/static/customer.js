// One customer: the timeline goes on while one scrolls, earlier values open in place, a month is one choice.

import { fetchPart } from "./console.js";

const list = document.getElementById("events");

// A month that goes on over the seam is named once.
function joinMonths() {
  let before = "";
  for (const month of list.querySelectorAll(".month")) {
    if (month.textContent === before) month.remove();
    else before = month.textContent;
  }
}

let isLoading = false;
async function goOn(link) {
  if (isLoading) return;
  isLoading = true;
  const item = link.closest(".older");
  try {
    const part = await fetchPart(link.href.replace(/#.*/, ""));
    if (item.isConnected) item.replaceWith(part);
    joinMonths();
    watch();
  } finally {
    isLoading = false;
  }
}

// Only for who scrolls: a page that grows by itself has no end for a keyboard, which has the link.
let isScrolling = false;
const near = new IntersectionObserver(
  (seen) => {
    const link = seen.find((one) => one.isIntersecting)?.target.querySelector("a");
    if (link && isScrolling) goOn(link).catch(() => {});
  },
  { rootMargin: "600px" },
);
function watch() {
  near.disconnect();
  const item = list.querySelector(".older");
  if (item) near.observe(item);
}
for (const kind of ["wheel", "touchmove"]) {
  addEventListener(
    kind,
    () => {
      if (isScrolling) return;
      isScrolling = true;
      watch();
    },
    { passive: true },
  );
}
new MutationObserver(() => {
  joinMonths();
  if (isScrolling) watch();
}).observe(list, { childList: true });

const jump = document.getElementById("jump");
if (jump) {
  jump.form.querySelector("button").hidden = true;
  jump.addEventListener("change", () => jump.form.submit());
}

document.addEventListener("submit", async (event) => {
  const form = event.target.closest("form.before");
  if (!form) return;
  event.preventDefault();
  const place = form.parentElement;
  const open = place.querySelector(".earlier-part");
  const button = form.querySelector("button");
  if (open) {
    open.remove();
    button.setAttribute("aria-expanded", "false");
    return;
  }
  const part = document.createElement("div");
  part.className = "earlier-part";
  part.setAttribute("role", "status");
  place.append(part);
  button.setAttribute("aria-expanded", "true");
  try {
    part.append(await fetchPart(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) }));
  } catch {
    part.textContent = "The earlier values could not be read. Is the server still running?";
  }
});
