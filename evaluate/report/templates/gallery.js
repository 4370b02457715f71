{
// The gallery: filters, and a choice of its label for each photo, which becomes a CSV. Without this script every photo
// is shown, and the reasons filter by style alone.
const FIRST = 24;
const box = document.querySelector(".photos");
const about = box ? JSON.parse(box.querySelector(".gallery-data").content.textContent) : { labels: [], photos: [] };
const figures = box ? [...box.querySelectorAll(".gallery > figure")] : [];
// After a relabelling, choices and a photo's own label are those of the table, which corrections name.
const choices = about.choices ?? about.labels;
const photos = about.photos.map(([image, label, predicted, other, content, own = label], place) => (
  { image, label, content, own: own ?? "", predicted: about.labels[predicted] ?? "", other: choices[other] ?? "", figure: figures[place] }));
const reasons = box ? [...box.querySelectorAll("[name=reason]")] : [];
const by = Object.fromEntries(["label", "predicted"].map((key) => [key, box?.querySelector(`[data-by=${key}]`)]));
const KEPT = `bottlehead corrections ${about.digest}`, NOT_SHOWN = "", DROPPED = "\0";
let most = FIRST;

// -- Filters

function isAsked(photo) {
  const reason = reasons.find((one) => one.checked)?.value;
  return (!reason || photo.figure.classList.contains(reason))
    && ["label", "predicted"].every((key) => by[key].selectedIndex < 1 || photo[key] === by[key].value);
}

function filter() {
  let count = 0;
  for (const photo of photos) {
    const asked = isAsked(photo);
    photo.figure.hidden = !asked;
    photo.figure.classList.toggle("beyond", asked && count >= most);
    count += asked;
  }
  const shown = Math.min(count, most), more = box.querySelector(".more");
  box.querySelector(".filters output").textContent = shown < count ? `${shown} of ${count} photos` : `${count} photo${count === 1 ? "" : "s"}`;
  more.hidden = shown === count;
  more.firstElementChild.textContent = `Show ${count - shown} more`;
}

function showAll() {
  reasons[0].checked = true;
  for (const key of ["label", "predicted"]) by[key].selectedIndex = 0;
  most = Infinity;
  filter();
}

function showPair(label, predicted) {
  reasons[0].checked = true;
  by.label.value = label;
  by.predicted.value = predicted;
  most = Infinity;
  filter();
  document.querySelector("#gallery > details").open = true;
  box.scrollIntoView();
  by.label.focus({ preventScroll: true });
}

// A link to a photo that a filter hides, or that is not among the first.
function reveal() {
  const figure = location.hash.startsWith("#photo-") && document.getElementById(location.hash.slice(1));
  if (!figure) return;
  document.querySelector("#gallery > details").open = true;
  if (figure.hidden || figure.classList.contains("beyond")) showAll();
  figure.scrollIntoView({ block: "center" });
}

function option(text, value) {
  const one = document.createElement("option");
  one.textContent = text;
  one.value = value;
  return one;
}

// A cell of the confusion matrix, or a line of the commonest confusions, shows its photos where the gallery has them.
function linkPairs() {
  for (const cell of document.querySelectorAll("#confusion [data-label]")) {
    const { label, predicted } = cell.dataset;
    if (!photos.some((one) => one.label === label && one.predicted === predicted)) continue;
    const button = document.createElement("button");
    button.type = "button";
    button.title = `Show the photos: ${label} taken for ${predicted}`;
    button.append(...cell.childNodes);
    cell.append(button);
    button.addEventListener("click", () => showPair(label, predicted));
  }
}

// -- Corrections

const chosen = new Map(); // by photo: a label, or DROPPED; the label that it has means that it was kept

function kept() {
  try {
    return JSON.parse(localStorage.getItem(KEPT)) ?? {};
  } catch {
    return {}; // the browser keeps nothing, or somebody else's
  }
}

function keep() {
  const all = kept();
  for (const { image } of photos) delete all[image];
  for (const [image, label] of chosen) all[image] = label;
  try {
    if (Object.keys(all).length) localStorage.setItem(KEPT, JSON.stringify(all));
    else localStorage.removeItem(KEPT);
  } catch { /* then a reload forgets */ }
}

const corrections = () => photos.filter((one) => chosen.has(one.image) && chosen.get(one.image) !== one.own);

// Photos of the same bytes are one photo: they have one label.
function choose(photo, label) {
  for (const one of photos.filter((other) => other.content === photo.content)) {
    if (label === undefined) chosen.delete(one.image);
    else chosen.set(one.image, label);
    show(one);
  }
  tell();
  keep();
}

function show(photo) {
  const label = chosen.get(photo.image), { own } = photo;
  photo.select.value = label ?? own;
  photo.keep.setAttribute("aria-pressed", label === own);
  photo.figure.classList.toggle("corrected", label !== undefined && label !== own);
  photo.figure.classList.toggle("kept", label === own);
}

function tell() {
  const n = corrections().length, same = chosen.size - n, panel = box.querySelector(".corrections");
  panel.hidden = chosen.size === 0;
  panel.querySelector("span").textContent = `${n} correction${n === 1 ? "" : "s"}${same ? `, ${same} kept` : ""}`;
}

const cell = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

function save() {
  const lines = photos.filter((one) => chosen.get(one.image)) // a photo may be kept without a label
    .map(({ image }) => `${cell(image)},${cell(chosen.get(image) === DROPPED ? "" : chosen.get(image))}\n`);
  saveFile(new Blob(["image,label\n", ...lines], { type: "text/csv" }), "corrections.csv");
}

function addChoices() {
  const labels = document.createElement("select");
  labels.append(...choices.map((name) => option(name, name)), option("leave this photo out", DROPPED));
  const before = kept();
  for (const photo of photos) {
    const line = document.createElement("div"), button = document.createElement("button");
    const select = labels.cloneNode(true), { own } = photo;
    line.className = "choice";
    select.setAttribute("aria-label", `Label of ${photo.image}`);
    for (const name of [photo.other, own]) { // what it may be stands first, below what it is
      const there = [...select.options].find((one) => one.value === name);
      if (there || name === own) select.prepend(there ?? option(own || "no label", own));
    }
    select.addEventListener("change", () => choose(photo, select.value === own ? undefined : select.value));
    button.type = "button";
    button.textContent = "keep";
    button.title = "The label is right";
    button.addEventListener("click", () => choose(photo, chosen.get(photo.image) === own ? undefined : own));
    line.append(select, button);
    photo.figure.querySelector("figcaption").append(line);
    Object.assign(photo, { select, keep: button });
    const label = Object.hasOwn(before, photo.image) ? before[photo.image] : undefined;
    if ([...select.options].some((one) => one.value === label)) chosen.set(photo.image, label);
    show(photo);
  }
  box.querySelector("[data-do=save]").addEventListener("click", save);
  box.querySelector("[data-do=forget]").addEventListener("click", () => {
    for (const photo of photos) choose(photo, undefined);
  });
  tell();
}

if (box) {
  for (const key of ["label", "predicted"]) {
    const names = new Set(photos.map((one) => one[key]).filter(Boolean));
    by[key].append(option("any", NOT_SHOWN), ...about.labels.filter((name) => names.has(name)).map((name) => option(name, name)));
    by[key].addEventListener("change", () => { most = FIRST; filter(); });
  }
  box.querySelector(".by-label").hidden = false;
  for (const one of reasons) one.addEventListener("change", () => { most = FIRST; filter(); });
  box.querySelector(".more button").addEventListener("click", () => {
    const next = photos.find((one) => one.figure.classList.contains("beyond"));
    most = Infinity;
    filter();
    next.select.focus();
  });
  addChoices();
  linkPairs();
  filter();
  for (const link of document.querySelectorAll("a[href^='#photo-']")) link.addEventListener("click", () => setTimeout(reveal));
  addEventListener("hashchange", reveal);
  reveal();
}
}
