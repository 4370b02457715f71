"use strict";
const photos = [...document.querySelectorAll("#list li")], names = photos.map(one => one.dataset.image);
const buttons = [...document.querySelectorAll("#labels button")], find = name => document.getElementById(name);
const key = "bottlehead labels " + names.join("\n");
let given = {}, done = [], place = 0, saved = true, lasting = true;

// A page from a file may have no storage of its own, or none that lasts.
function remembered() {
  try { return JSON.parse(localStorage.getItem(key)) || {}; } catch { return {}; }
}

function remember() {
  try { localStorage.setItem(key, JSON.stringify(given)); } catch { lasting = false; }
}

function labelOf(number) {
  return Object.hasOwn(given, names[number]) ? given[names[number]] : null;
}

function show() {
  const now = photos[place], picture = now.querySelector(".picture"), label = labelOf(place);
  find("photo").querySelector(".picture").replaceChildren(...[...picture.childNodes].map(one => one.cloneNode(true)));
  find("said").textContent = label === null ? "The model says " + now.dataset.said : "Labelled " + label;
  find("name").textContent = names[place];
  find("reason").textContent = now.dataset.reason;
  for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.label === label));
  photos.forEach((one, number) => {
    const text = labelOf(number);
    one.classList.toggle("done", text !== null);
    one.querySelector("small").textContent = text === null ? "" : text;
    one.querySelector("button").setAttribute("aria-current", String(number === place));
  });
  const count = Object.keys(given).length;
  find("state").textContent = `${count} of ${names.length} labelled` + (saved || !count ? "" : ", not saved yet");
  find("undo").disabled = !done.length;
  find("save").disabled = !count;
}

function set(number, label) {
  if (label === null) delete given[names[number]];
  else given[names[number]] = label;
  saved = false;
  remember();
}

function give(label) {
  done.push([place, labelOf(place)]);
  set(place, label);
  const open = names.map((name, number) => number).filter(number => labelOf(number) === null);
  place = open.find(number => number > place) ?? open[0] ?? place;
  show();
}

function undo() {
  if (!done.length) return;
  const [number, label] = done.pop();
  set(number, label);
  place = number;
  show();
}

function move(steps) {
  place = Math.min(Math.max(place + steps, 0), names.length - 1);
  show();
}

// Quoted as in RFC 4180, so that names may hold commas, quotes and line ends.
function cell(text) {
  return /[",\r\n]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text;
}

function csv() {
  const lines = names.filter(name => Object.hasOwn(given, name)).map(name => `${cell(name)},${cell(given[name])}`);
  return ["image,label", ...lines].join("\n") + "\n";
}

function save() {
  if (!Object.keys(given).length) return;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([csv()], {type: "text/csv"}));
  link.download = "labels.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  saved = true;
  show();
}

buttons.forEach(button => button.addEventListener("click", () => give(button.dataset.label)));
photos.forEach((one, number) => one.querySelector("button").addEventListener("click", () => { place = number; show(); }));
find("back").addEventListener("click", () => move(-1));
find("skip").addEventListener("click", () => move(1));
find("undo").addEventListener("click", undo);
find("save").addEventListener("click", save);
find("another").addEventListener("submit", event => {
  event.preventDefault();
  const label = find("new").value.trim();
  if (label) give(label);
  find("new").value = "";
  find("new").blur();
});
document.addEventListener("keydown", event => {
  if (event.target === find("new") || event.ctrlKey || event.metaKey || event.altKey) return;
  const number = "123456789".indexOf(event.key);
  if (number >= 0 && event.key.length === 1) { if (buttons[number]) give(buttons[number].dataset.label); }
  else if (event.key === "z" || event.key === "Z") undo();
  else if (event.key === "s" || event.key === "S") save();
  else if (event.key === "ArrowLeft") move(-1);
  else if (event.key === "ArrowRight") move(1);
  else return;
  event.preventDefault();
});
window.addEventListener("beforeunload", event => { if (!lasting && !saved) event.preventDefault(); });

for (const [name, label] of Object.entries(remembered())) if (names.includes(name) && typeof label === "string") given[name] = label;
saved = !Object.keys(given).length;
place = Math.max(names.findIndex((name, number) => labelOf(number) === null), 0);
show();
