// Imports: how much of a file was sent, and how far its import is.

import { fetchPart } from "./console.js";

const ASK_MS = 1000;
const upload = document.getElementById("upload");
const place = document.getElementById("import");

if (upload) {
  const file = document.getElementById("file");
  const sent = document.getElementById("sent");
  const text = document.getElementById("sent-text");
  const most = Number(upload.dataset.mostMb) * 1e6;
  upload.addEventListener("submit", (submit) => {
    submit.preventDefault();
    if (file.files[0].size > most) {
      text.textContent = `This file is larger than ${upload.dataset.mostMb} MB. Use the command line, or send it gzipped.`;
      return;
    }
    const request = new XMLHttpRequest();
    request.open("POST", upload.action);
    request.responseType = "document";
    request.setRequestHeader("X-Form-Token", document.querySelector('meta[name="form-token"]').content);
    request.upload.addEventListener("progress", (step) => {
      sent.hidden = false;
      sent.value = (100 * step.loaded) / step.total;
      text.textContent = step.loaded === step.total ? "Looking at it" : `${Math.round(sent.value)} % sent`;
    });
    request.addEventListener("load", () => {
      if (request.status < 400) location.assign(request.responseURL);
      else text.textContent = request.response?.querySelector("main p:not(.wordmark)")?.textContent ?? "That did not work.";
    });
    request.addEventListener("error", () => { text.textContent = "The connection broke. Send it again."; });
    request.send(new FormData(upload));
  });
}

async function follow() {
  const open = place?.querySelector('[data-open="yes"]');
  if (!open) return;
  try {
    const part = await fetchPart(location.pathname);
    const fresh = part.querySelector("[data-open]");
    if (fresh.dataset.open === "no" && fresh.dataset.state !== "done") {
      location.reload();
      return;
    }
    if (!place.contains(document.activeElement) || fresh.dataset.open === "no") place.replaceChildren(part);
  } catch {
    // asked again below
  }
  setTimeout(follow, ASK_MS);
}

follow();
