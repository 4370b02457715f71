"use strict";
// Comfort only: without this script every section is open and every table is in its first order.
const sections = [...document.querySelectorAll("section > details")];
const fold = document.getElementById("fold");

function openTarget() {
  const target = document.getElementById(location.hash.slice(1));
  const details = target && target.querySelector("details");
  if (details) details.open = true;
}

function tellFold() {
  fold.textContent = sections.some((one) => one.open) ? "Close all" : "Open all";
}

fold.hidden = false;
fold.addEventListener("click", () => {
  const open = !sections.some((one) => one.open);
  for (const one of sections) one.open = open;
});
for (const one of sections) one.addEventListener("toggle", tellFold);
// A link to the section that is already in the address does not change the hash.
for (const link of document.querySelectorAll("nav a")) link.addEventListener("click", () => setTimeout(openTarget));
addEventListener("hashchange", openTarget);
openTarget();

let closed = [];
addEventListener("beforeprint", () => {
  closed = [...document.querySelectorAll("details:not([open])")];
  for (const one of closed) one.open = true;
});
addEventListener("afterprint", () => {
  for (const one of closed) one.open = false;
});

function valueOf(row, column) {
  const cell = row.cells[column];
  const text = cell.dataset.sort ?? cell.textContent.trim();
  const number = Number(text.replaceAll(",", ""));
  return text === "" || Number.isNaN(number) ? text : number;
}

// Numbers by size, then text by name; what is not known comes last, whichever way.
function compare(one, other, sign) {
  const unknown = (value) => value === "" || value === "unknown" || value === "?";
  if (unknown(one) || unknown(other)) return unknown(one) - unknown(other);
  if (typeof one === "number" && typeof other === "number") return sign * (one - other);
  if (typeof one !== typeof other) return typeof one === "number" ? -1 : 1;
  return sign * one.localeCompare(other, undefined, { numeric: true });
}

function sortBy(table, header) {
  const rising = header.getAttribute("aria-sort") === "descending"
    || (header.getAttribute("aria-sort") === "none" && !header.classList.contains("number"));
  for (const one of header.parentNode.cells) if (one.hasAttribute("aria-sort")) one.setAttribute("aria-sort", "none");
  header.setAttribute("aria-sort", rising ? "ascending" : "descending");
  const body = table.tBodies[0];
  const keyed = [...body.rows].map((row) => [valueOf(row, header.cellIndex), row]);
  keyed.sort((one, other) => compare(one[0], other[0], rising ? 1 : -1));
  body.append(...keyed.map((one) => one[1]));
}

for (const table of document.querySelectorAll("table.sortable")) {
  for (const header of table.tHead.rows[0].cells) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    header.append(button);
    header.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => sortBy(table, header));
  }
}

for (const button of document.querySelectorAll("button[data-selects]")) {
  button.hidden = false;
  button.addEventListener("click", () => getSelection().selectAllChildren(document.getElementById(button.dataset.selects)));
}
