// Who is who: the drawing tells what one points at, a line leads to its evidence, refused links are judged by keyboard.

const drawing = document.querySelector("svg.drawing");
const told = document.getElementById("drawn-told");

if (drawing && told) {
  const quiet = told.textContent;
  const ties = [...drawing.querySelectorAll("a.tie")];
  const dots = new Map([...drawing.querySelectorAll(".node")].map((dot) => [dot.dataset.key, dot]));

  const light = (lines, keys, text) => {
    drawing.classList.toggle("is-looking", lines.length > 0 || keys.length > 0);
    for (const tie of ties) tie.classList.toggle("is-lit", lines.includes(tie));
    for (const [key, dot] of dots) dot.classList.toggle("is-lit", keys.includes(key));
    told.textContent = text;
  };
  const look = (place) => {
    const tie = place.closest?.("a.tie");
    const dot = place.closest?.(".node");
    if (tie) {
      light([tie], tie.dataset.ends.split(" "), tie.querySelector("title").textContent);
    } else if (dot) {
      const { key } = dot.dataset;
      const lines = ties.filter((one) => one.dataset.ends.split(" ").includes(key));
      const keys = [key, ...lines.flatMap((one) => one.dataset.ends.split(" "))];
      light(lines, keys, `${dot.querySelector("title").textContent}: ${lines.length} link${lines.length === 1 ? "" : "s"}`);
    } else {
      light([], [], quiet);
    }
  };
  drawing.addEventListener("pointerover", (event) => look(event.target));
  drawing.addEventListener("pointerleave", () => light([], [], quiet));
  drawing.addEventListener("focusin", (event) => look(event.target));
  drawing.addEventListener("focusout", () => light([], [], quiet));
  // What the browser does with the address already, and a list that is folded opens.
  drawing.addEventListener("click", (click) => {
    const tie = click.target.closest("a.tie");
    if (!tie || click.ctrlKey || click.metaKey || click.shiftKey || click.button) return;
    const row = document.getElementById(tie.getAttribute("href").split("#")[1]);
    if (!row) return;
    click.preventDefault();
    const folded = row.closest("details");
    if (folded) folded.open = true;
    row.scrollIntoView({ block: "center" });
    row.focus({ preventScroll: true });
  });
}

// A form that opens is there to be written in.
document.addEventListener("toggle", (toggle) => {
  if (toggle.target.matches?.("details.act") && toggle.target.open) toggle.target.querySelector("input[name=reason]")?.focus();
}, true);

const rows = [...document.querySelectorAll(".violation")];
const isOpen = (row) => !row.classList.contains("is-settled");

function go(row) {
  if (!row) return;
  row.focus({ preventScroll: true });
  row.scrollIntoView({ block: "nearest" });
}

if (rows.length) {
  document.addEventListener("keydown", (key) => {
    if (key.ctrlKey || key.metaKey || key.altKey || document.querySelector("dialog[open]")) return;
    const here = rows.indexOf(document.activeElement.closest(".violation"));
    if (key.key === "Escape" && here >= 0) {
      for (const act of rows[here].querySelectorAll("details.act")) act.open = false;
      go(rows[here]);
      return;
    }
    if (key.target.closest("input, select, textarea, [contenteditable]")) return;
    if (key.key === "j") go(rows[Math.min(here + 1, rows.length - 1)]);
    else if (key.key === "k") go(rows[Math.max(here - 1, 0)]);
    else {
      const act = here >= 0 ? rows[here].querySelector(`details.act[data-key="${CSS.escape(key.key)}"]`) : null;
      if (!act) return;
      key.preventDefault();
      for (const other of rows[here].querySelectorAll("details.act")) other.open = other === act;
      act.querySelector("input[name=reason]").focus();
    }
  });
  // After a decision the next one that waits is at hand.
  const at = rows.findIndex((row) => "at" in row.dataset);
  if (at >= 0) go(rows.slice(at).find(isOpen) ?? rows.find(isOpen) ?? rows[at]);
}
