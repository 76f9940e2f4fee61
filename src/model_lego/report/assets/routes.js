"use strict";
// Decision routes as columns of channels. Edges are painted on a canvas; channels are circles, which can be reached.

const { diagrams, photos } = JSON.parse(document.getElementById("data").textContent); // a diagram of each part
const stage = document.getElementById("stage");
const canvas = stage.querySelector("canvas");
const svg = stage.querySelector("svg");
const tip = document.getElementById("tip");
const overview = document.getElementById("overview");
const strength = document.getElementById("strength");
const DASHES = [[], [6, 4], [2, 3]];
const SIDE = 46, TOP = 26, BOTTOM = 140;
const LETTER = 5, LINE = 12; // how far a letter of a turned label reaches to the left, and the height of a line
const ENTRY = 4, NO_PHOTO = 0xffff, NOWHERE = 0xff, FAR = 250; // an entry of a row of photos, as the page has them

let data, contributions, answers, homes, state, drawn; // of the part that is shown

function openPart(part) {
  data = diagrams[part];
  contributions = data.contributions.map(bytesOf);
  answers = data.answers && { most: data.answers.most, bytes: bytesOf(data.answers.rows) };
  homes = homesOf(data.steps);
  const first = data.names.length > 4 ? [0, 1] : data.names.keys();
  state = { shown: new Set(first), view: null, chosen: null, pinned: false };
  drawn = { columns: [], links: [] };
  for (const block of document.querySelectorAll("[data-part]")) block.hidden = Number(block.dataset.part) !== part;
  classSwitch();
  choose(null);
  draw();
}

function bytesOf(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

// The photos that a channel answers to most: number, and where it is strongest, across and down.
function photosOf(row) {
  const found = [];
  if (!answers || row === undefined || row < 0) return found;
  for (let at = row * answers.most * ENTRY; at < (row + 1) * answers.most * ENTRY; at += ENTRY) {
    const [low, high, across, down] = answers.bytes.subarray(at, at + ENTRY);
    if (low + 256 * high !== NO_PHOTO) found.push([low + 256 * high, across, down]);
  }
  return found;
}

// Puts a photo of the page into a figure, with a ring where a channel is strongest.
function fill(figure, number, across, down) {
  const { uri, label, name, width, height, small } = photos[number];
  const shown = new Image(width, height);
  shown.src = uri;
  shown.alt = `image ${name}: ${label}`;
  if (small) shown.className = "small";
  const frame = document.createElement("div");
  frame.className = "frame";
  frame.append(shown);
  if (across !== NOWHERE) {
    const ring = document.createElement("span");
    ring.className = "ring";
    ring.style.left = `${(100 * across) / FAR}%`;
    ring.style.top = `${(100 * down) / FAR}%`;
    frame.append(ring);
  }
  const words = document.createElement("figcaption");
  for (const text of [label, name]) {
    const line = document.createElement("span");
    line.textContent = text;
    words.append(line);
  }
  figure.className = "photo";
  figure.style.width = `${Math.max(width, 80)}px`;
  figure.replaceChildren(frame, words);
  return figure;
}

// The layer that writes a channel first, and the channel's number there.
function homesOf(steps) {
  const found = new Map();
  for (const step of steps)
    for (const column of step.columns)
      column.channels.forEach((channel, place) => {
        if (!found.has(channel)) found.set(channel, [column.name, column.numbers[place]]);
      });
  return found;
}

function colour(subject) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--class-${subject % 6}`).trim();
}

function users(channel) {
  return [...state.shown].filter((subject) => contributions[subject][channel] > 0).sort((a, b) => a - b);
}

// From bottom to top: half of the classes' own channels, what is shared, the other half.
function layOut(column, most) {
  const shown = [...state.shown].sort((a, b) => a - b);
  const half = Math.floor(shown.length / 2);
  const order = [...shown.slice(shown.length - half).reverse(), -1, ...shown.slice(0, shown.length - half).reverse()];
  const blocks = new Map(order.map((owner) => [owner, []]));
  let used = 0;
  column.channels.forEach((channel, place) => {
    const by = users(channel);
    if (!by.length) return;
    used += 1;
    const weight = Math.max(...by.map((subject) => contributions[subject][channel]));
    blocks.get(by.length > 1 ? -1 : by[0]).push({ channel, place, by, weight, row: column.answers?.[place] });
  });
  const share = Math.min(1, most / Math.max(1, used));
  const dots = [];
  let at = 0;
  for (const owner of order) {
    const block = blocks.get(owner);
    if (!block.length) continue;
    const keep = Math.max(1, Math.round(share * block.length));
    const kept = block.sort((a, b) => b.weight - a.weight).slice(0, keep).sort((a, b) => a.place - b.place);
    for (const dot of kept) dots.push({ ...dot, owner, at: at++ });
    at += 1.5;
  }
  return { dots, used, span: Math.max(0, at - 2.5) };
}

function draw() {
  const view = state.view === null ? data.overview : data.steps[state.view];
  overview.hidden = state.view === null;
  document.getElementById("where").textContent = state.view === null ? "whole network" : view.name;
  const { width, height } = stage.getBoundingClientRect();
  const inner = height - TOP - BOTTOM;
  const most = state.view === null ? 48 : Math.floor(inner / 3.2);
  const spaces = Math.max(1, view.columns.length - 1);
  const reach = view.columns.map(({ lines }, number) =>
    LETTER * Math.max(...lines.map((line) => line.length)) - ((width - 2 * SIDE) / spaces) * number);
  const left = Math.max(SIDE, ...reach); // so that no label begins beyond the edge
  const gap = (width - left - SIDE) / spaces;
  drawn = { view, columns: [], links: view.links };
  svg.replaceChildren();
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  view.columns.forEach((column, number) => {
    const { dots, used, span } = layOut(column, most);
    const unit = Math.min(14, inner / Math.max(1, span));
    const x = left + gap * number;
    const byPlace = new Map();
    for (const dot of dots) {
      dot.x = x;
      dot.y = TOP + inner / 2 + (span / 2 - dot.at) * unit;
      dot.column = number;
      byPlace.set(dot.place, dot);
    }
    drawn.columns.push({ ...column, dots, byPlace });
    for (const dot of dots) svg.append(circle(dot, Math.max(1.6, Math.min(4.5, unit / 2.2))));
    svg.append(heading(column, number, x, height, used, dots.length));
  });
  svg.querySelector("circle")?.setAttribute("tabindex", 0); // from there on by the arrows
  paint();
}

function element(name, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

function circle(dot, radius) {
  const fill = dot.owner < 0 ? "var(--shared)" : `var(--class-${dot.owner % 6})`;
  const made = element("circle", {
    cx: dot.x, cy: dot.y, r: radius, fill, tabindex: -1, "data-channel": dot.channel, "data-column": dot.column,
  });
  made.addEventListener("pointerenter", () => { if (!state.pinned) choose(dot); });
  made.addEventListener("pointerleave", () => { if (!state.pinned) choose(null); });
  made.addEventListener("focus", () => { if (!state.pinned) choose(dot); });
  made.addEventListener("blur", () => { if (!state.pinned) choose(null); });
  made.addEventListener("keydown", (event) => {
    const next = neighbour(dot, event.key);
    if (!next) return;
    event.preventDefault();
    state.pinned = false;
    next.circle.focus();
  });
  made.addEventListener("click", (event) => {
    event.stopPropagation();
    state.pinned = !(state.pinned && state.chosen && state.chosen.channel === dot.channel);
    choose(dot);
  });
  dot.circle = made;
  return made;
}

// The dot that an arrow leads to: up and down in the column, else the nearest of the next column that has any.
function neighbour(dot, key) {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[key];
  if (key === "ArrowUp" || key === "ArrowDown") {
    const { dots } = drawn.columns[dot.column];
    return dots[dots.indexOf(dot) + (key === "ArrowUp" ? 1 : -1)];
  }
  let at = dot.column + step;
  while (step && drawn.columns[at] && !drawn.columns[at].dots.length) at += step;
  const away = (other) => Math.abs(other.y - dot.y);
  return drawn.columns[at]?.dots.reduce((best, other) => (away(other) < away(best) ? other : best));
}

function heading(column, number, x, height, used, shown) {
  const step = state.view === null ? column.step : undefined;
  const open = step !== undefined && step !== null;
  const look = { class: "head", role: "button", tabindex: 0, "data-step": step, "aria-label": `look into ${column.name}` };
  const made = element("g", open ? look : {});
  const y = height - BOTTOM + 22;
  const turn = `rotate(-38 ${x + 6} ${y})`;
  const count = `${used} of ${column.total}`;
  [...column.lines, count].forEach((line, at) => {
    const look = { x: x + 6, y: y + LINE * at, "text-anchor": "end", transform: turn };
    made.append(element("text", at < column.lines.length ? look : { ...look, class: "count" }, line));
  });
  const hidden = shown < used ? `; the strongest ${shown} are shown` : "";
  made.append(element("title", {}, `${column.name}: ${used} of ${column.total} channels are used${hidden}`));
  if (open) {
    made.addEventListener("click", (event) => { event.stopPropagation(); zoom(step); });
    made.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") zoom(step); });
  }
  return made;
}

function paint() {
  const { width, height } = stage.getBoundingClientRect();
  const sharp = window.devicePixelRatio || 1;
  canvas.width = width * sharp;
  canvas.height = height * sharp;
  const pen = canvas.getContext("2d");
  pen.scale(sharp, sharp);
  const least = Number(strength.value);
  const shared = getComputedStyle(document.documentElement).getPropertyValue("--shared").trim();
  let count = 0;
  for (const link of drawn.links) {
    const from = drawn.columns[link.from], to = drawn.columns[link.to];
    const times = new Map(); // how many of the shown classes have an edge
    for (const subject of state.shown) {
      const edges = link.edges[subject];
      for (let at = 0; at < edges.length; at += 3) {
        const key = edges[at] * 65536 + edges[at + 1];
        times.set(key, (times.get(key) || 0) + 1);
      }
    }
    for (const subject of state.shown) {
      const edges = link.edges[subject];
      const own = colour(subject);
      pen.setLineDash(DASHES[Math.floor(subject / 6) % 3]);
      for (let at = edges.length - 3; at >= 0; at -= 3) { // the strongest on top
        const start = from.byPlace.get(edges[at]), end = to.byPlace.get(edges[at + 1]);
        if (!start || !end || edges[at + 2] < least) continue;
        const near = !state.chosen || touches(start, end);
        pen.strokeStyle = times.get(edges[at] * 65536 + edges[at + 1]) > 1 ? shared : own;
        pen.globalAlpha = near ? 0.15 + 0.006 * edges[at + 2] : 0.05;
        pen.lineWidth = (state.chosen && near ? 1.2 : 0.4) + 0.009 * edges[at + 2];
        pen.beginPath();
        pen.moveTo(start.x, start.y);
        const middle = (start.x + end.x) / 2;
        pen.bezierCurveTo(middle, start.y, middle, end.y, end.x, end.y);
        pen.stroke();
        count += 1;
      }
    }
  }
  stage.dataset.edges = count;
}

function touches(start, end) {
  const same = (dot) => dot.channel === state.chosen.channel && dot.column === state.chosen.column;
  return same(start) || same(end);
}

function choose(dot) {
  state.chosen = dot;
  if (!dot) state.pinned = false;
  for (const made of svg.querySelectorAll("circle"))
    made.classList.toggle("chosen", Boolean(dot) && Number(made.dataset.channel) === dot.channel);
  tip.hidden = !dot;
  if (dot) tell(dot);
  paint();
}

function tell(dot) {
  const [layer, number] = homes.get(dot.channel);
  const all = [...data.names.keys()];
  const by = all.filter((subject) => contributions[subject][dot.channel] > 0);
  const title = document.createElement("b");
  title.textContent = `${layer}, channel ${number}`;
  const rows = by.slice(0, 12).map((subject) => {
    const row = document.createElement("div");
    row.className = "row";
    const key = document.createElement("span");
    key.className = "key";
    key.style.setProperty("--colour", `var(--class-${subject % 6})`);
    key.textContent = data.names[subject];
    const share = (contributions[subject][dot.channel] - 1) / 254;
    row.append(key, `${(100 * share).toFixed(1)} %`);
    return row;
  });
  const note = document.createElement("span");
  note.className = "hint";
  const others = by.length - rows.length;
  note.textContent = by.length > 1 ? `shared by ${by.length}` + (others > 0 ? `, ${others} more` : "") : "used by this one alone";
  const gallery = document.createElement("div");
  gallery.className = "photos";
  gallery.append(...photosOf(dot.row).map((photo) => fill(document.createElement("figure"), ...photo)));
  tip.replaceChildren(title, note, ...rows, ...(gallery.children.length ? [gallery] : []));
  const { width, height } = stage.getBoundingClientRect();
  tip.style.left = `${Math.min(dot.x + 14, width - tip.offsetWidth - 6)}px`;
  tip.style.top = `${Math.max(4, Math.min(dot.y - 20, height - tip.offsetHeight - 6))}px`;
}

function zoom(step) {
  state.view = step;
  choose(null);
  draw();
}

function partSwitch() {
  const box = document.getElementById("part");
  box.append(...diagrams.map((diagram, part) => new Option(diagram.title, part)));
  box.addEventListener("change", () => openPart(Number(box.value)));
  box.parentElement.hidden = diagrams.length < 2;
}

function classSwitch() {
  const box = document.getElementById("classes");
  box.replaceChildren();
  data.names.forEach((name, subject) => {
    const label = document.createElement("label");
    label.className = "class";
    label.style.setProperty("--colour", `var(--class-${subject % 6})`);
    label.style.setProperty("--dash", ["solid", "dashed", "dotted"][Math.floor(subject / 6) % 3]);
    const input = document.createElement("input");
    input.type = "checkbox";
    input.checked = state.shown.has(subject);
    input.addEventListener("change", () => {
      if (input.checked) state.shown.add(subject); else state.shown.delete(subject);
      choose(null);
      draw();
    });
    label.append(input, name);
    box.append(label);
  });
}

for (const figure of document.querySelectorAll("[data-photo]")) {
  const { photo, across, down } = figure.dataset;
  fill(figure, Number(photo), Number(across), Number(down));
}
partSwitch();
openPart(0);
strength.addEventListener("input", () => {
  document.getElementById("least").textContent = `${strength.value} %`;
  paint();
});
overview.addEventListener("click", () => zoom(null));
stage.addEventListener("click", () => choose(null));
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") { if (state.chosen) choose(null); else zoom(null); }
});
window.addEventListener("resize", draw);
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
