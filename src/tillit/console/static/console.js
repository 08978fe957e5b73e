// What every page shares: times in the reader's own zone, "/" to search, events that open in place, copying.

const two = (n) => String(n).padStart(2, "0");

// Times come as RFC 3339 UTC; `data-form` says how much of them is shown.
export function localise(root) {
  for (const place of root.querySelectorAll("time[data-form]")) {
    const moment = new Date(place.dateTime);
    if (Number.isNaN(moment.getTime())) continue;
    const day = `${moment.getFullYear()}-${two(moment.getMonth() + 1)}-${two(moment.getDate())}`;
    const minute = `${two(moment.getHours())}:${two(moment.getMinutes())}`;
    const form = place.dataset.form;
    const isToday = new Date().toDateString() === moment.toDateString();
    if (form === "clock") place.textContent = isToday ? `${minute}:${two(moment.getSeconds())}` : day;
    else if (form === "hour") place.textContent = minute;
    else if (form === "minute") place.textContent = `${day} ${minute}`;
    else place.textContent = `${day} ${minute}:${two(moment.getSeconds())}`;
    place.title = place.dateTime;
    delete place.dataset.form;
  }
}

// Parts come from our own templates, which escape what customers wrote; the policy lets no inline script run.
export function partFrom(html) {
  const holder = document.createElement("template");
  holder.innerHTML = html;
  localise(holder.content);
  return holder.content;
}

export async function fetchPart(address, options = {}) {
  const token = document.querySelector('meta[name="form-token"]')?.content ?? "";
  const headers = { "X-Part": "1", "X-Form-Token": token, ...(options.headers || {}) };
  const answer = await fetch(address, { ...options, headers });
  if (answer.status === 401) {
    location.reload();
    throw new Error("the session has ended");
  }
  return partFrom(await answer.text());
}

async function toggleEvent(link) {
  const item = link.closest(".event");
  const open = item.querySelector(".detail");
  if (open) {
    open.remove();
    link.setAttribute("aria-expanded", "false");
  } else {
    link.setAttribute("aria-expanded", "true");
    const detail = document.createElement("div");
    detail.className = "detail";
    item.append(detail);
    try {
      detail.append(await fetchPart(link.href));
    } catch {
      detail.textContent = "The event could not be read. Is the server still running?";
    }
  }
  document.dispatchEvent(new CustomEvent("tillit:toggled"));
}

async function loadOlder(link) {
  const item = link.closest(".older");
  const list = item.closest("ol");
  if (!list) return false;
  link.textContent = "Reading";
  const part = await fetchPart(link.href.replace(/#.*/, ""));
  const first = part.querySelector(".opens");
  item.replaceWith(part);
  if (first) first.focus();
  return true;
}

document.addEventListener("click", (click) => {
  if (click.ctrlKey || click.metaKey || click.shiftKey || click.button) return;
  const opens = click.target.closest("a.opens");
  const older = click.target.closest("ol .older a");
  const copy = click.target.closest("button.copy");
  if (opens) {
    click.preventDefault();
    toggleEvent(opens);
  } else if (older) {
    click.preventDefault();
    loadOlder(older).catch(() => location.assign(older.href));
  } else if (copy) {
    navigator.clipboard.writeText(document.getElementById(copy.dataset.copies).textContent).then(() => {
      copy.firstChild.textContent = "Copied";
      setTimeout(() => { copy.firstChild.textContent = "Copy"; }, 1500);
    });
  }
});

document.addEventListener("keydown", (key) => {
  if (key.key !== "/" || key.ctrlKey || key.metaKey || key.altKey) return;
  if (key.target.closest("input, select, textarea, [contenteditable]") || document.querySelector("dialog[open]")) return;
  const box = document.querySelector("#query, #filter");
  key.preventDefault();
  if (box) box.select();
  else location.assign("/console/customers#query");
});

if (navigator.clipboard) for (const button of document.querySelectorAll("button.copy")) button.hidden = false;
const zone = document.getElementById("zone");
if (zone) zone.textContent = `times are ${Intl.DateTimeFormat().resolvedOptions().timeZone}`;
localise(document);
