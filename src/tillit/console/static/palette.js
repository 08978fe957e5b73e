// On every page: the command palette, keys that go to places, light and dark.
// It brings console.js with it: no template loads that by its own address, or it would run twice.

import { fetchPart } from "./console.js";

const palette = document.getElementById("palette");
const query = document.getElementById("palette-query");
const list = document.getElementById("palette-list");
const keys = document.getElementById("keys");
const places = [...document.querySelectorAll(".side nav a")].map((link) => ({
  label: link.textContent.trim(),
  href: link.href,
  hint: "page",
}));

let options = [];
let chosen = 0;
let asked = 0;
let timer = 0;

function choose(at) {
  chosen = Math.max(0, Math.min(at, options.length - 1));
  [...list.children].forEach((item, i) => {
    item.setAttribute("aria-selected", String(i === chosen));
    if (i === chosen) item.scrollIntoView({ block: "nearest" });
  });
  query.setAttribute("aria-activedescendant", options.length ? `option-${chosen}` : "");
}

function show(found) {
  options = found;
  list.replaceChildren(
    ...found.map((option, i) => {
      const item = document.createElement("li");
      item.id = `option-${i}`;
      item.setAttribute("role", "option");
      const label = document.createElement("bdi");
      label.textContent = option.label;
      const hint = document.createElement("span");
      hint.className = "fine";
      hint.textContent = option.hint;
      item.append(label, hint);
      item.addEventListener("click", () => location.assign(option.href));
      return item;
    }),
  );
  if (!found.length) {
    const item = document.createElement("li");
    item.className = "fine";
    item.textContent = "Nothing by that name";
    list.append(item);
  }
  choose(0);
}

const fitting = (text) => places.filter((place) => place.label.toLowerCase().includes(text.toLowerCase()));

async function look() {
  const text = query.value.trim();
  asked += 1;
  const mine = asked;
  if (text.length < 2) return;
  try {
    const part = await fetchPart("/console/customers", { method: "POST", body: new URLSearchParams({ query: text }) });
    if (mine !== asked) return; // an answer to what is no longer in the box
    const people = [...part.querySelectorAll("a.person")].slice(0, 8).map((link) => ({
      label: link.querySelector(".person-name").textContent.trim(),
      href: link.href,
      hint: link.querySelector(".person-handles")?.textContent.trim().replace(/\s+/g, " ").slice(0, 60) ?? "",
    }));
    show([...fitting(text), ...people]);
  } catch {
    // The pages can still be chosen.
  }
}

function open() {
  if (palette.open) return;
  query.value = "";
  show(places);
  palette.showModal();
  query.focus();
}

query.addEventListener("input", () => {
  show(fitting(query.value.trim()));
  clearTimeout(timer);
  timer = setTimeout(look, 120);
});
query.addEventListener("keydown", (key) => {
  const steps = { ArrowDown: 1, ArrowUp: -1 };
  if (key.key in steps) {
    key.preventDefault();
    choose(chosen + steps[key.key]);
  } else if (key.key === "Enter" && options[chosen]) {
    key.preventDefault();
    location.assign(options[chosen].href);
  }
});
for (const dialog of [palette, keys]) {
  dialog.addEventListener("click", (click) => {
    if (click.target === dialog) dialog.close();
  });
}
document.getElementById("open-palette").addEventListener("click", open);
document.getElementById("open-keys").addEventListener("click", () => keys.showModal());

let isGoing = false;
document.addEventListener("keydown", (key) => {
  if ((key.ctrlKey || key.metaKey) && key.key.toLowerCase() === "k") {
    key.preventDefault();
    open();
    return;
  }
  if (key.ctrlKey || key.metaKey || key.altKey || document.querySelector("dialog[open]")) return;
  if (key.target.closest("input, select, textarea, [contenteditable]")) return;
  if (key.key === "?") {
    key.preventDefault();
    keys.showModal();
  } else if (isGoing) {
    isGoing = false;
    const link = document.querySelector(`.side nav a[data-key="${CSS.escape(key.key)}"]`);
    if (link) location.assign(link.href);
  } else if (key.key === "g") {
    isGoing = true;
    setTimeout(() => { isGoing = false; }, 1500);
  }
});

// Light, dark, or as the system has it. Kept in a cookie, so that the server draws the next page rightly at once.
const button = document.getElementById("theme");
const told = document.getElementById("theme-text");
const steps = { "": "light", light: "dark", dark: "" };
const says = { "": "as the system", light: "light", dark: "dark" };
function dress(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  document.querySelector('meta[name="color-scheme"]').content = theme || "light dark";
  told.textContent = says[theme];
  button.title = `Colours: ${says[theme]}`;
}
dress(document.documentElement.dataset.theme ?? "");
button.addEventListener("click", () => {
  const theme = steps[document.documentElement.dataset.theme ?? ""];
  document.cookie = `tillit_theme=${theme}; path=/console; max-age=31536000; samesite=strict`;
  dress(theme);
});
