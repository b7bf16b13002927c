"use strict";
// Sorting by a click on a heading, filtering by a word, the timeline; without scripts tables are plain, and the
// timeline is a picture. `timeline` stands above: the same module that draws in a notebook.
for (const table of document.querySelectorAll("main table")) {
  const body = table.tBodies[0];
  if (body.rows.length < 2 || table.tHead?.rows.length !== 1) continue;
  const value = (row, at) => row.cells[at].textContent.trim();
  const number = (text) => parseFloat(text.replace(/[,≥\s]/g, ""));
  const original = [...body.rows];
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, at) => {
    if (!head.textContent.trim()) return;
    const numeric = head.classList.contains("n");
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.textContent = "";
    head.append(button);
    button.addEventListener("click", () => {
      // Numbers want the largest first, names the first letter; a third click brings back the order of the report.
      const turns = numeric ? ["descending", "ascending"] : ["ascending", "descending"];
      const next = turns[turns.indexOf(head.getAttribute("aria-sort")) + 1];
      for (const other of heads) other.removeAttribute("aria-sort");
      if (!next) return body.append(...original);
      head.setAttribute("aria-sort", next);
      const sign = next === "ascending" ? 1 : -1;
      const rows = [...original].sort((a, b) => {
        const [x, y] = [value(a, at), value(b, at)];
        if (!numeric) return sign * x.localeCompare(y, "en");
        const [m, n] = [number(x), number(y)];
        if (Number.isNaN(m) || Number.isNaN(n)) return Number.isNaN(m) - Number.isNaN(n);
        return sign * (m - n);
      });
      body.append(...rows);
    });
  });
  if (body.rows.length > 8) {
    const line = document.createElement("p");
    line.className = "filter";
    const field = document.createElement("input");
    field.type = "search";
    field.placeholder = "Filter rows";
    field.setAttribute("aria-label", "Filter the rows of the table below");
    const told = document.createElement("span");
    told.setAttribute("role", "status");
    field.addEventListener("input", () => {
      const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      let left = 0;
      for (const row of body.rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
        left += !row.hidden;
      }
      told.textContent = words.length ? `${left} of ${body.rows.length} rows` : "";
    });
    line.append(field, told);
    table.closest(".scroll").before(line);
  }
}

async function unpack(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

async function start() {
  const place = document.getElementById("timeline");
  const packed = document.getElementById("timeline-data");
  if (!place || !packed || !("DecompressionStream" in window)) return;
  const data = await unpack(packed.textContent);
  document.documentElement.classList.add("scripted");
  const view = timeline.mount(place, data, {
    onselect: (ids) => {
      const hash = ids.length ? `#pod=${encodeURIComponent(ids.at(-1))}` : "#pods";
      if (location.hash !== hash) history.replaceState(null, "", hash);
    },
  });
  // #pod=start_id (or a pod's name) shows a pod, #find=words filters the timeline.
  const follow = () => {
    const [, kind, word] = location.hash.match(/^#(pod|find)=(.*)$/) ?? [];
    if (!kind) return;
    let wanted = word;
    try { wanted = decodeURIComponent(word); } catch { /* a broken escape is looked for as it is */ }
    document.getElementById("pods").scrollIntoView();
    if (kind === "find") return view.find(wanted);
    const id = data.starts.find((row) => row[0] === wanted || data.strings[row[1]] === wanted)?.[0];
    if (id === undefined || !view.show([id])) view.find(wanted);
  };
  window.addEventListener("hashchange", follow);
  document.addEventListener("click", (event) => {
    // The same link twice changes no hash.
    const link = event.target.closest?.('a[href^="#pod="], a[href^="#find="]');
    if (link && link.getAttribute("href") === location.hash) { event.preventDefault(); follow(); }
  });
  follow();
}
start();
