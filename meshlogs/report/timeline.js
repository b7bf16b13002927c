"use strict";
// The timeline of pod starts: one row a start, drawn only while it is in view. Used as an anywidget module in
// JupyterLab and inline in the report. Every text of an input is set as text, never as HTML.
//
// data.starts rows: id, pod, namespace, cluster, project, workload, outcome, reason (numbers into data.strings),
// epoch (text, ns), app, proxy and ready (lower and upper each, ns since epoch), window lower and upper (s), refused,
// facts: kind, lower, upper, container, value, message, source, line, insert id, verdict.
const ROW = 30;
const SVG = "http://www.w3.org/2000/svg";
const CLOSED = new Set(["proxy_process", "proxy_closed", "probe_failed", "proxy_exited", "container_died"]);
const OUTCOMES = ["harmed", "init_stalled", "undetermined", "exposed", "safe", "not_meshed"];
const MARKS = { harmed: "✕", init_stalled: "◆", undetermined: "?", exposed: "●", safe: "✓", not_meshed: "–" };
let made = 0;

function element(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "class") node.className = value;
    else if (key in node && key !== "list" && key !== "role") node[key] = value;
    else node.setAttribute(key, value);
  }
  node.append(...children);
  return node;
}

function shape(name, attributes) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
}

function decode(data) {
  const text = (at) => (at === null ? null : data.strings[at]);
  return data.starts.map((row, at) => {
    const [id, pod, namespace, cluster, project, workload, outcome, reason, epoch] = row;
    const times = row.slice(9, 15).map((ns) => (ns === null ? null : ns / 1e9));
    const start = {
      at, id, pod: text(pod) ?? id, namespace: text(namespace), cluster: text(cluster), project: text(project),
      workload: text(workload), outcome: text(outcome), reason: text(reason), epoch: BigInt(epoch),
      clock: 0, app: times.slice(0, 2), proxy: times.slice(2, 4), ready: times.slice(4, 6),
      window: [row[15], row[16]], refused: row[17],
    };
    start.facts = row[18].map(([kind, lower, upper, container, value, message, source, line, insertId, verdict]) => ({
      kind: text(kind), lower, upper, container: text(container), value: text(value), message: text(message),
      source: text(source), line, insertId: text(insertId), verdict: text(verdict),
      from: lower === null ? null : lower / 1e9, to: upper === null ? null : upper / 1e9,
    }));
    start.words = [start.pod, start.namespace, start.cluster, start.workload, start.outcome].join(" ").toLowerCase();
    start.place = `${start.namespace ?? ""}/${start.workload ?? ""}`;
    return start;
  });
}

function stamp(start, offset) {
  if (offset === null) return "unknown";
  const ns = start.epoch + BigInt(offset);
  const seconds = ns / 1000000000n;
  const rest = String(ns % 1000000000n).padStart(9, "0").replace(/0+$/, "");
  return new Date(Number(seconds) * 1000).toISOString().slice(0, 19).replace("T", " ") + (rest ? "." + rest : "");
}

function windowText(start) {
  const [low, high] = start.window;
  if (low === null) return "window unknown";
  if (high === null) return `window at least ${low.toFixed(1)} s, never seen ready`;
  return high - low < 0.05 ? `window ${low.toFixed(1)} s` : `window ${low.toFixed(1)} to ${high.toFixed(1)} s`;
}

function summary(start) {
  const where = [start.namespace, start.cluster].filter(Boolean).join(", ");
  const refused = `${start.refused} refused connection${start.refused === 1 ? "" : "s"}`;
  return `${start.pod}${where && ` (${where})`}: ${start.outcome}, ${windowText(start)}, ${refused}`;
}

function factText(start, fact) {
  const wide = fact.lower === null || fact.upper === null ? null : fact.upper - fact.lower;
  const undated = fact.lower === null && fact.upper === null;
  const when = undated ? "no time" : wide === 0 ? stamp(start, fact.lower)
    : wide === 999999999 ? `${stamp(start, fact.lower)} (to the second)`
      : `${stamp(start, fact.lower)} to ${stamp(start, fact.upper)}`;
  const what = [fact.verdict ?? fact.kind.replaceAll("_", " "), fact.verdict ? null : fact.value].filter(Boolean).join(" ");
  return { when, what, where: fact.source === null ? "" : `${fact.source}:${fact.line ?? ""}` };
}

function consoleAddress(start, fact) {
  const q = (value) => '"' + value.replaceAll("\\", "\\\\").replaceAll('"', '\\"') + '"';
  const lines = [["cluster_name", start.cluster], ["namespace_name", start.namespace], ["pod_name", start.pod]]
    .filter(([, value]) => value).map(([name, value]) => `resource.labels.${name}=${q(value)}`);
  if (fact.insertId) lines.push(`insertId=${q(fact.insertId)}`);
  const range = ["lower", "upper"].map((end, at) => {
    const ns = start.epoch + BigInt(fact[end] ?? fact.upper ?? fact.lower ?? 0);
    return new Date((Number(ns / 1000000000n) + at) * 1000).toISOString().slice(0, 19) + "Z";
  });
  const project = start.project ? `?project=${encodeURIComponent(start.project)}` : "";
  return `https://console.cloud.google.com/logs/query;query=${encodeURIComponent(lines.join("\n"))};timeRange=` +
    range.map(encodeURIComponent).join("%2F") + project;
}

// The detail of one start: its summary and its evidence as a table.
function detail(start) {
  const box = element("div", { class: "ml-detail" }, element("h3", {}, start.pod),
    element("p", {}, summary(start) + (start.reason ? ` (${start.reason.replaceAll("_", " ")})` : "")));
  if (!start.facts.length) {
    box.append(element("p", {}, "Its evidence is in tables/evidence.parquet; meshlogs explain tells it."));
    return box;
  }
  const body = element("tbody");
  for (const fact of start.facts) {
    const told = factText(start, fact);
    const source = element("td", {}, element("code", {}, told.where));
    if (fact.insertId) {
      source.append(" insertId ", element("code", {}, fact.insertId));
      if (start.project) source.append(" ", element("a", { href: consoleAddress(start, fact), rel: "noopener noreferrer", target: "_blank" }, "console"));
    }
    body.append(element("tr", {}, element("td", {}, told.when), element("td", {}, fact.container ?? "pod"),
      element("td", {}, told.what), element("td", { class: "w" }, fact.message ?? "–"), source));
  }
  const heads = ["time (UTC)", "container", "what", "evidence", "file and line"].map((head) => element("th", { scope: "col" }, head));
  box.append(element("div", { class: "scroll", tabIndex: 0, role: "region", "aria-label": "Evidence of " + start.pod },
    element("table", {}, element("thead", {}, element("tr", {}, ...heads)), body)));
  return box;
}

function ticks(low, high, most) {
  const raw = (high - low) / Math.max(most, 1);
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((value) => value >= raw);
  const found = [];
  for (let at = Math.ceil(low / step) * step; at <= high + step * 1e-9; at += step) found.push(Math.round(at / step) * step);
  return found;
}

function mount(root, data, { height = 420, selected = [], onselect = () => {} } = {}) {
  const starts = decode(data);
  const byId = new Map(starts.map((start) => [start.id, start]));
  const first = starts.reduce((least, start) => (least === null || start.epoch < least ? start.epoch : least), null) ?? 0n;
  for (const start of starts) start.clock = Number(start.epoch - first) / 1e9;
  const key = `ml-${++made}`;
  const state = { word: "", outcomes: new Set(), order: "worst", clock: false, rows: starts, domain: [0, 1], focus: null, chosen: new Set(selected) };

  const field = element("input", { type: "search", placeholder: "pod, workload, namespace", "aria-label": "Filter pod starts" });
  const order = element("select", { "aria-label": "Order of the pod starts" });
  for (const [value, name] of [["worst", "worst first"], ["window", "longest window first"], ["time", "by time"], ["name", "by name"]])
    order.append(element("option", { value }, name));
  const align = element("select", { "aria-label": "Time axis" });
  for (const [value, name] of [["app", "since the application's start"], ["clock", "by the clock"]]) align.append(element("option", { value }, name));
  const button = (text, name, act) => {
    const node = element("button", { type: "button", title: name, "aria-label": name }, text);
    node.addEventListener("click", act);
    return node;
  };
  const outcomes = element("span", { class: "ml-outcomes", role: "group", "aria-label": "Outcomes to show" });
  for (const outcome of OUTCOMES) {
    const count = starts.filter((start) => start.outcome === outcome).length;
    if (!count) continue;
    const node = element("button", { type: "button", class: `tag ${outcome.replaceAll("_", "-")}`, "aria-pressed": "false" }, `${MARKS[outcome]} ${outcome.replaceAll("_", " ")} ${count.toLocaleString("en")}`);
    node.addEventListener("click", () => {
      if (!state.outcomes.delete(outcome)) state.outcomes.add(outcome);
      node.setAttribute("aria-pressed", String(state.outcomes.has(outcome)));
      arrange();
    });
    outcomes.append(node);
  }
  const bar = element("div", { class: "ml-bar" }, field, order, align,
    element("span", { class: "ml-zoom", role: "group", "aria-label": "Zoom" },
      button("+", "Zoom in", () => zoom(0.5)), button("−", "Zoom out", () => zoom(2)), button("⟲", "Show the usual range", () => { fit(); draw(); })));
  const axis = shape("svg", { class: "ml-axis", height: 24, "aria-hidden": "true" });
  const spacer = element("div", { class: "ml-rows" });
  const list = element("div", { class: "ml-list", id: key, role: "listbox", tabIndex: 0, "aria-multiselectable": "true", "aria-label": "Pod starts: arrows move, Space selects, plus and minus zoom" }, spacer);
  list.style.maxHeight = `${height}px`;
  const tip = element("div", { class: "ml-tip", role: "tooltip", hidden: true });
  const told = element("p", { class: "ml-told", role: "status" });
  const foot = element("p", { class: "ml-key" });
  for (const [name, words] of [["app", "application runs"], ["closed", "proxy runs, closed"], ["unsure", "not sure"], ["open", "proxy open"], ["window", "race window"], ["refused", "✕ refused"], ["proof", "| proof of a closed proxy"]])
    foot.append(element("span", {}, element("i", { class: `ml-${name}` }), words), " ");
  const chosenBox = element("div", { class: "ml-chosen" });
  const defs = shape("svg", { width: 0, height: 0, "aria-hidden": "true", class: "ml-defs" });
  const pattern = shape("pattern", { id: `${key}-hatch`, width: 5, height: 5, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" });
  pattern.append(shape("rect", { width: 2, height: 5, class: "ml-hatch" }));
  defs.append(pattern);
  root.classList.add("ml-timeline");
  root.replaceChildren(bar, outcomes, axis, list, foot, told, tip, chosenBox, defs);

  const labelWidth = () => Math.round(Math.min(230, list.clientWidth * 0.36));
  const plotWidth = () => Math.max(60, list.clientWidth - labelWidth() - 10);
  const shift = (start) => (state.clock ? start.clock : 0);
  const x = (start, second) => ((second + shift(start) - state.domain[0]) / (state.domain[1] - state.domain[0])) * plotWidth();

  function extent(start) {
    const known = [...start.app, ...start.proxy, ...start.ready].filter((value) => value !== null);
    for (const fact of start.facts) if (fact.kind === "refused" && fact.from !== null) known.push(fact.from);
    return known.length ? [Math.min(...known), Math.max(...known)] : [0, 1];
  }

  // The usual range: what 95 of 100 starts need; dragging, buttons and keys go on from there.
  function fit() {
    const rows = state.rows.length ? state.rows : starts;
    const ends = rows.map(extent);
    if (state.clock) {
      const all = rows.flatMap((start, at) => [start.clock + ends[at][0], start.clock + ends[at][1]]);
      const [low, high] = all.reduce(([a, b], value) => [Math.min(a, value), Math.max(b, value)], [Infinity, -Infinity]);
      state.domain = all.length ? [low, Math.max(high, low + 1)] : [0, 1];
    } else {
      const lows = ends.map(([low]) => low).sort((a, b) => a - b);
      const highs = ends.map(([, high]) => high).sort((a, b) => a - b);
      const low = Math.max(lows[Math.floor(lows.length * 0.05)] ?? 0, -30);
      const high = highs[Math.ceil(highs.length * 0.95) - 1] ?? 1;
      state.domain = [low, Math.max(high, low + 1)];
    }
    const room = (state.domain[1] - state.domain[0]) * 0.05;
    state.domain = [state.domain[0] - room, state.domain[1] + room];
  }

  function zoom(factor, middle = (state.domain[0] + state.domain[1]) / 2) {
    const [low, high] = state.domain;
    if ((high - low) * factor < 1e-5 || (high - low) * factor > 1e9) return;
    state.domain = [middle - (middle - low) * factor, middle + (high - middle) * factor];
    draw();
  }

  function pan(share) {
    const step = (state.domain[1] - state.domain[0]) * share;
    state.domain = state.domain.map((end) => end + step);
    draw();
  }

  function arrange() {
    const words = state.word.toLowerCase().split(/\s+/).filter(Boolean);
    state.rows = starts.filter((start) => (!state.outcomes.size || state.outcomes.has(start.outcome)) &&
      words.every((word) => start.words.includes(word) || start.place.toLowerCase() === word || start.id.toLowerCase() === word));
    const orders = {
      worst: (a, b) => a.at - b.at,
      window: (a, b) => (b.window[0] ?? -1) - (a.window[0] ?? -1) || a.at - b.at,
      time: (a, b) => a.clock - b.clock || a.at - b.at,
      name: (a, b) => (a.pod < b.pod ? -1 : a.pod > b.pod ? 1 : a.at - b.at),
    };
    state.rows.sort(orders[state.order]);
    list.scrollTop = 0;
    const besides = data.total > starts.length ? `; ${(data.total - starts.length).toLocaleString("en")} more are only in tables/starts.parquet` : "";
    told.textContent = `${state.rows.length.toLocaleString("en")} of ${starts.length.toLocaleString("en")} pod starts${besides}`;
    draw();
  }

  function draw() {
    spacer.style.height = `${state.rows.length * ROW}px`;
    const from = Math.max(0, Math.floor(list.scrollTop / ROW) - 2);
    const to = Math.min(state.rows.length, Math.ceil((list.scrollTop + list.clientHeight) / ROW) + 2);
    const focused = state.focus === null ? -1 : state.rows.indexOf(state.focus);
    const shown = [];
    for (let at = from; at < to; at++) shown.push(row(state.rows[at], at));
    if (focused >= 0 && (focused < from || focused >= to)) shown.push(row(state.rows[focused], focused));
    spacer.replaceChildren(...shown);
    if (focused >= 0) list.setAttribute("aria-activedescendant", `${key}-${state.focus.at}`);
    else list.removeAttribute("aria-activedescendant");
    drawAxis();
  }

  function drawAxis() {
    const left = labelWidth();
    const width = left + plotWidth();
    axis.setAttribute("width", width);
    axis.replaceChildren();
    const zone = state.clock ? Number(first / 1000000n) / 1000 : 0;
    for (const second of ticks(...state.domain, plotWidth() / 90)) {
      const at = left + ((second - state.domain[0]) / (state.domain[1] - state.domain[0])) * plotWidth();
      axis.append(shape("line", { x1: at, x2: at, y1: 18, y2: 24 }));
      const text = shape("text", { x: at, y: 14, "text-anchor": "middle" });
      const span = state.domain[1] - state.domain[0];
      text.textContent = state.clock
        ? new Date((zone + second) * 1000).toISOString().slice(...(span < 60 ? [11, 23] : span < 172800 ? [11, 19] : [5, 16])).replace("T", " ")
        : `${parseFloat(second.toPrecision(6))} s`;
      axis.append(text);
    }
  }

  function row(start, at) {
    const left = labelWidth();
    const chosen = state.chosen.has(start.id);
    const node = element("div", {
      class: `ml-row ${start.outcome}${chosen ? " chosen" : ""}${start === state.focus ? " focus" : ""}`, role: "option", id: `${key}-${start.at}`,
      "aria-selected": String(chosen), "aria-label": summary(start), "aria-setsize": state.rows.length, "aria-posinset": at + 1,
    });
    node.style.top = `${at * ROW}px`;
    const name = element("span", { class: "ml-name" }, element("b", { class: `tag ${(start.outcome ?? "").replaceAll("_", "-")}` }, MARKS[start.outcome] ?? "?"), " " + start.pod);
    name.style.width = `${left}px`;
    const svg = shape("svg", { width: plotWidth(), height: ROW, "aria-hidden": "true" });
    const edge = plotWidth();
    const box = (from, to, y, high, kind) => {
      const [begin, end] = [Math.max(0, from), Math.min(edge, to)];
      if (end > begin) svg.append(shape("rect", { x: begin, y, width: Math.max(1, end - begin), height: high, class: `ml-${kind}` }));
    };
    const unsure = (from, to, y, high) => {
      const [begin, end] = [Math.max(0, from), Math.min(edge, to)];
      if (end > begin) svg.append(shape("rect", { x: begin, y, width: end - begin, height: high, class: "ml-unsure", fill: `url(#${key}-hatch)` }));
    };
    const life = ([lower, upper], y, high, kind, until = edge) => {
      if (lower === null && upper === null) return;
      const begin = x(start, lower ?? upper);
      if (upper === null) return unsure(begin, until, y, high);
      unsure(begin, Math.min(x(start, upper), until), y, high);
      box(x(start, upper), until, y, high, kind);
    };
    if (start.app[1] !== null && start.ready[0] !== null && start.ready[0] > start.app[1])
      box(x(start, start.app[1]), x(start, start.ready[0]), 1, ROW - 2, "window");
    const open = start.ready[0] ?? start.ready[1];
    life(start.app, 7, 5, "app");
    life(start.proxy, 20, 3, "closed", open === null ? edge : x(start, open));
    life(start.ready, 18, 7, "open");
    for (const fact of start.facts) {
      if (fact.to === null && fact.from === null) continue;
      const spot = x(start, fact.from ?? fact.to);
      if (spot < -4 || spot > edge + 4) continue;
      if (fact.kind === "refused") svg.append(shape("path", { d: `M${spot - 4} 5.5l8 8m0-8l-8 8`, class: `ml-refused ${fact.verdict}` }));
      else if (CLOSED.has(fact.kind)) svg.append(shape("line", { x1: spot, x2: spot, y1: 16, y2: 27, class: "ml-proof" }));
    }
    node.append(name, svg);
    return node;
  }

  function startAt(event) {
    const at = Math.floor((event.clientY - spacer.getBoundingClientRect().top) / ROW);
    return state.rows[at] ?? null;
  }

  function nearest(start, place) {
    let best = null;
    for (const fact of start.facts) {
      if (fact.from === null && fact.to === null) continue;
      const [from, to] = [x(start, fact.from ?? fact.to), x(start, fact.to ?? fact.from)];
      const away = place < from ? from - place : place > to ? place - to : 0;
      // What is exact goes before an interval that happens to hold the pointer, a refusal before anything.
      const rank = away + (to - from > 1 ? 8 : 0) - (fact.kind === "refused" ? 8 : 0);
      if (away <= 6 && (best === null || rank < best.rank)) best = { fact, rank };
    }
    return best?.fact ?? null;
  }

  function hover(event) {
    const start = startAt(event);
    if (start === null) return void (tip.hidden = true);
    const place = event.clientX - list.getBoundingClientRect().left - labelWidth();
    const fact = place >= 0 ? nearest(start, place) : null;
    if (fact === null) tip.replaceChildren(summary(start));
    else {
      const words = factText(start, fact);
      tip.replaceChildren(element("b", {}, `${fact.container ?? "pod"}: ${words.what}`), element("br"), words.when, element("br"), fact.message ?? "", element("br"), element("code", {}, words.where));
    }
    tip.hidden = false;
    const bounds = root.getBoundingClientRect();
    const left = Math.min(event.clientX - bounds.left + 14, Math.max(0, bounds.width - tip.offsetWidth - 4));
    tip.style.left = `${left}px`;
    tip.style.top = `${event.clientY - bounds.top + 18}px`;
  }

  function choose(start, { range = false, more = false } = {}) {
    if (range && state.focus !== null) {
      const [from, to] = [state.rows.indexOf(state.focus), state.rows.indexOf(start)].sort((a, b) => a - b);
      for (const each of state.rows.slice(Math.max(from, 0), to + 1)) state.chosen.add(each.id);
    } else if (more) {
      if (!state.chosen.delete(start.id)) state.chosen.add(start.id);
    } else {
      state.chosen = new Set([start.id]);
    }
    state.focus = start;
    changed();
  }

  function changed() {
    onselect([...state.chosen], state.focus);
    const shown = state.focus !== null && state.chosen.has(state.focus.id) ? state.focus : byId.get([...state.chosen].at(-1));
    chosenBox.replaceChildren(...(shown ? [detail(shown)] : []));
    if (state.chosen.size > 1) chosenBox.prepend(element("p", {}, `${state.chosen.size.toLocaleString("en")} pod starts are selected; the last one:`));
    draw();
  }

  function reveal(start) {
    const at = state.rows.indexOf(start);
    if (at < 0) return;
    const top = at * ROW;
    if (top < list.scrollTop) list.scrollTop = top;
    else if (top + ROW > list.scrollTop + list.clientHeight) list.scrollTop = top + ROW - list.clientHeight;
    draw();
  }

  function show(ids) {
    const known = ids.filter((id) => byId.has(id));
    state.chosen = new Set(known);
    state.focus = known.length ? byId.get(known[0]) : null;
    if (state.focus !== null && !state.rows.includes(state.focus)) find("");
    changed();
    if (state.focus !== null) reveal(state.focus);
    return known.length > 0;
  }

  function find(word) {
    state.word = field.value = word;
    state.outcomes.clear();
    for (const node of outcomes.children) node.setAttribute("aria-pressed", "false");
    arrange();
  }

  let drag = null;
  list.addEventListener("pointerdown", (event) => {
    const place = event.clientX - list.getBoundingClientRect().left - labelWidth();
    if (event.button === 0 && event.pointerType !== "touch" && place >= 0 && place <= plotWidth()) drag = { from: place, node: null };
  });
  list.addEventListener("pointermove", (event) => {
    if (drag === null) return hover(event);
    const place = Math.max(0, Math.min(plotWidth(), event.clientX - list.getBoundingClientRect().left - labelWidth()));
    if (drag.node === null && Math.abs(place - drag.from) > 5) {
      drag.node = element("div", { class: "ml-drag" });
      spacer.append(drag.node);
      tip.hidden = true;
    }
    if (drag.node !== null) {
      drag.to = place;
      drag.node.style.left = `${labelWidth() + Math.min(drag.from, place)}px`;
      drag.node.style.width = `${Math.abs(place - drag.from)}px`;
    }
  });
  const finish = () => {
    if (drag?.node) {
      drag.node.remove();
      const [low, high] = state.domain;
      const second = (place) => low + (place / plotWidth()) * (high - low);
      const ends = [second(drag.from), second(drag.to)].sort((a, b) => a - b);
      if (ends[1] - ends[0] > 1e-5) state.domain = ends;
      drag = null;
      dragged = true;
      setTimeout(() => { dragged = false; });
      return draw();
    }
    drag = null;
  };
  let dragged = false;
  window.addEventListener("pointerup", finish);
  list.addEventListener("pointerleave", () => { tip.hidden = true; });
  list.addEventListener("click", (event) => {
    const start = startAt(event);
    if (!dragged && start !== null) choose(start, { range: event.shiftKey, more: event.ctrlKey || event.metaKey });
  });
  list.addEventListener("dblclick", () => { fit(); draw(); });
  list.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    const place = event.clientX - list.getBoundingClientRect().left - labelWidth();
    zoom(event.deltaY > 0 ? 1.25 : 0.8, state.domain[0] + (place / plotWidth()) * (state.domain[1] - state.domain[0]));
  }, { passive: false });
  list.addEventListener("scroll", () => requestAnimationFrame(draw));
  list.addEventListener("keydown", (event) => {
    const at = state.focus === null ? -1 : state.rows.indexOf(state.focus);
    const moves = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: state.rows.length - 1, PageDown: at + 12, PageUp: at - 12 };
    const keys = { "+": () => zoom(0.5), "=": () => zoom(0.5), "-": () => zoom(2), 0: () => { fit(); draw(); }, ArrowLeft: () => pan(-0.15), ArrowRight: () => pan(0.15) };
    if (event.key in moves && state.rows.length) {
      state.focus = state.rows[Math.max(0, Math.min(state.rows.length - 1, moves[event.key]))];
      if (event.shiftKey) choose(state.focus, { more: !state.chosen.has(state.focus.id) });
      reveal(state.focus);
    } else if ((event.key === " " || event.key === "Enter") && state.focus !== null) {
      choose(state.focus, { more: event.key === " " });
    } else if (event.key === "Escape") {
      show([]);
    } else if (event.key in keys && !event.ctrlKey && !event.metaKey) {
      keys[event.key]();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  });
  field.addEventListener("input", () => { state.word = field.value; arrange(); });
  for (const node of [field, order, align]) node.addEventListener("keydown", (event) => event.stopPropagation());
  order.addEventListener("change", () => { state.order = order.value; arrange(); });
  align.addEventListener("change", () => { state.clock = align.value === "clock"; fit(); draw(); });
  const watcher = new ResizeObserver(draw);
  watcher.observe(list);

  fit();
  arrange();
  if (selected.length) show(selected);
  return {
    show, find,
    close: () => { watcher.disconnect(); window.removeEventListener("pointerup", finish); },
  };
}

function render({ model, el }) {
  const box = element("div");
  el.append(box);
  let mine = false;
  const view = mount(box, model.get("data"), {
    height: model.get("height"), selected: model.get("selected"),
    onselect: (ids) => {
      mine = true;
      model.set("selected", ids);
      model.save_changes();
      mine = false;
    },
  });
  const follow = () => { if (!mine) view.show(model.get("selected")); };
  model.on("change:selected", follow);
  return () => { model.off("change:selected", follow); view.close(); };
}

export default { render, mount };
