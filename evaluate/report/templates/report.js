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

// A button beside something, made here because without this script it would do nothing.
function addButton(place, text, does) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = text;
  button.addEventListener("click", () => does(button));
  place.append(button);
  return button;
}

// The rows that are shown, with tabs between cells, as spreadsheets take them.
const textOf = (table) => [...table.rows].filter((row) => !row.hidden)
  .map((row) => [...row.cells].map((one) => (one.innerText || one.textContent).replace(/\s+/g, " ").trim()).join("\t")).join("\n");

async function copy(text, button) {
  const before = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
  } catch { // not allowed here: the old way
    const field = document.createElement("textarea");
    field.value = text;
    document.body.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
    button.focus();
  }
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = before; }, 1500);
}

// A drawing by itself: its colours as they are now, on the ground that it has here.
function drawingOf(svg) {
  const style = getComputedStyle(document.documentElement), own = svg.cloneNode(true);
  const [, , width, height] = svg.getAttribute("viewBox").split(" ").map(Number);
  const colour = (text) => text.replace(/var\((--[\w-]+)\)/g, (_, name) => style.getPropertyValue(name).trim());
  own.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  own.setAttribute("width", width);
  own.setAttribute("height", height);
  own.setAttribute("font-family", "sans-serif");
  const ground = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  for (const [name, value] of Object.entries({ width: "100%", height: "100%", fill: "var(--paper)" })) ground.setAttribute(name, value);
  own.prepend(ground);
  return colour(new XMLSerializer().serializeToString(own));
}

function addFilter(table, tools) {
  const field = document.createElement("input"), told = document.createElement("output"), rows = [...table.tBodies[0].rows];
  field.type = "search";
  field.placeholder = "filter rows";
  field.setAttribute("aria-label", "Filter rows: words that a row must have");
  field.addEventListener("input", () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      count += !row.hidden;
    }
    told.textContent = words.length ? `${count} of ${rows.length}` : "";
  });
  tools.append(field, told);
}

for (const scroll of document.querySelectorAll("main .scroll")) {
  const table = scroll.querySelector("table"), frame = document.createElement("div"), tools = document.createElement("div");
  tools.className = "tools";
  if (table.classList.contains("filtered")) addFilter(table, tools);
  addButton(tools, "Copy table", (button) => copy(textOf(table), button));
  scroll.replaceWith(frame);
  frame.append(tools, scroll);
}

for (const svg of document.querySelectorAll("main svg.chart")) {
  const frame = document.createElement("div");
  frame.className = "drawing";
  svg.replaceWith(frame);
  frame.append(svg);
  const name = `${svg.classList[svg.classList.length - 1].replaceAll("_", "-")}.svg`;
  addButton(frame, "Save figure", () => saveFile(new Blob([drawingOf(svg)], { type: "image/svg+xml" }), name));
}
