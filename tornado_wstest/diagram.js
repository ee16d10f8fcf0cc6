
// The page is whole without this script. It brings the filter by client, and the buttons that fold.
"use strict";

const GAP = 0.1; // seconds without an event that get a row of their own
const PLACED = ["x", "x1", "x2", "cx"]; // what puts a shape on a lane; data-x, data-x1, ... say on which

const form = document.querySelector("form");
const boxes = [...form.querySelectorAll("input")];
const rows = [...document.querySelectorAll(".row")];

// Show the rows of the chosen clients, and let their lanes share the width.
function filter() {
  const chosen = boxes.filter((box) => box.checked).map((box) => box.dataset.lane);
  showRows(new Set(chosen));
  placeShapes([...chosen, "server"]);
  showGaps();
}

function showRows(chosen) {
  for (const row of rows) {
    row.hidden = "lane" in row.dataset && !chosen.has(row.dataset.lane);
  }
}

function placeShapes(lanes) {
  const places = new Map(lanes.map((lane, number) => [lane, `${((number + 0.5) / lanes.length) * 100}%`]));
  for (const attribute of PLACED) {
    for (const shape of document.querySelectorAll(`[data-${attribute}]`)) {
      const place = places.get(shape.dataset[attribute]);
      shape.toggleAttribute("hidden", place === undefined);
      if (place !== undefined) shape.setAttribute(attribute, place);
    }
  }
  document.documentElement.style.setProperty("--lanes", lanes.length);
  const names = document.querySelector(".names");
  names.dataset.size = sizeOf(lanes.length, Number(names.dataset.longest));
}

// The names stand side by side, turned, or only in the rows.
function sizeOf(lanes, longest) {
  if (lanes * longest <= 40) return "few";
  return lanes <= 40 ? "many" : "crowd";
}

// Between rows that are shown, more time may have passed than between all rows.
function showGaps() {
  for (const gap of document.querySelectorAll("main .gap")) gap.remove();
  const template = document.getElementById("gap");
  let before;
  for (const row of rows) {
    if (row.hidden) continue;
    const time = Number(row.dataset.time);
    if (time - before >= GAP) {
      const gap = template.content.firstElementChild.cloneNode(true);
      gap.querySelector(".later").textContent = `${inSeconds(time - before)} later`;
      row.before(gap);
    }
    before = time;
  }
}

function inSeconds(seconds) {
  return `${seconds.toLocaleString("en-US", { maximumFractionDigits: seconds < 1 ? 3 : 1 })} s`;
}

function check(isChecked) {
  for (const box of boxes) box.checked = isChecked;
  filter();
}

function unfold(isOpen) {
  for (const row of rows) {
    if (row.localName === "details" && !row.hidden) row.open = isOpen;
  }
}

// A link to an exception of a client that is not shown.
function showTarget() {
  const row = document.getElementById(location.hash.slice(1));
  if (!row || !row.hidden) return;
  check(true);
  row.scrollIntoView();
}

form.addEventListener("change", filter);
addEventListener("hashchange", showTarget);
document.getElementById("all").addEventListener("click", () => check(true));
document.getElementById("none").addEventListener("click", () => check(false));
document.getElementById("unfold").addEventListener("click", () => unfold(true));
document.getElementById("fold").addEventListener("click", () => unfold(false));
form.hidden = false;
// Browsers keep the state of boxes when a page is loaded again.
if (boxes.some((box) => !box.checked)) filter();
