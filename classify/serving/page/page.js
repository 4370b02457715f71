"use strict";
// Everything comes from this server: the addresses below start where this script lies.
const HERE = new URL(".", document.currentScript.src);
const AT_ONCE = 4, SHOWN = 5, NEIGHBOURS = 3, LONGER_SIDE = 480, PATIENCE = 60;
const one = (id) => document.getElementById(id);
const photos = [];
let about = null, working = 0;

function element(kind, classes, text) {
  const made = document.createElement(kind);
  if (classes) made.className = classes;
  if (text !== undefined) made.textContent = text;
  return made;
}

const pause = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));
const percent = (share) => `${(100 * share).toFixed(1)} %`;

async function ask(path, options = {}) {
  const token = sessionStorage.getItem("token");
  const headers = { ...options.headers, ...(token ? { Authorization: `Bearer ${token}` } : {}) };
  return fetch(new URL(path, HERE), { ...options, headers, credentials: "omit" });
}

// -- what the server is ---

function notice(texts) {
  one("notices").replaceChildren(...texts.map((text) => element("li", "", text)));
  one("notices").hidden = texts.length === 0;
}

async function learn() {
  let answer;
  try {
    answer = await ask("about");
  } catch {
    notice(["This server cannot be reached; is it still running?"]);
    setTimeout(learn, 3000);
    return;
  }
  one("asks-token").hidden = answer.status !== 401;
  one("drop").hidden = answer.status === 401;
  if (answer.status === 401) {
    one("token").focus();
    return;
  }
  if (!answer.ok) {
    notice([(await answer.json()).error]);
    return;
  }
  about = await answer.json();
  const said = [];
  if (!about.ready) said.push("The network is being loaded; photos wait until it is there.");
  if (about.replaced) said.push("The file of this model was replaced since. The model below is the one that was loaded.");
  notice(said);
  one("card").textContent = about.card;
  if (!about.ready) setTimeout(learn, 1000);
  work();
}

one("asks-token").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("token", one("token").value.trim());
  one("token").value = "";
  learn();
});

// -- photos in ---

function add(files) {
  for (const file of files) {
    const photo = { file, name: file.name || "photo", answer: null, error: null };
    photo.figure = element("figure");
    photo.picture = element("div", "picture", "…");
    photo.caption = element("figcaption");
    photo.caption.append(element("span", "answer", "waits"), element("small", "name", photo.name));
    photo.figure.append(photo.picture, photo.caption);
    one("photos").append(photo.figure);
    photos.push(photo);
  }
  tell();
  work();
}

for (const [button, input] of [["choose", "files"], ["camera", "shots"]]) {
  one(button).addEventListener("click", () => one(input).click());
  one(input).addEventListener("change", () => {
    add(one(input).files);
    one(input).value = "";
  });
}
document.addEventListener("paste", (event) => add(event.clipboardData.files));
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("over");
});
document.addEventListener("dragleave", (event) => {
  if (event.relatedTarget === null) document.body.classList.remove("over");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("over");
  add(event.dataTransfer.files);
});

// -- answers ---

function work() {
  while (about && working < AT_ONCE) {
    const photo = photos.find((each) => !each.begun);
    if (!photo) return;
    photo.begun = true;
    working += 1;
    predict(photo).finally(() => {
      working -= 1;
      tell();
      work();
    });
  }
}

async function predict(photo) {
  await preview(photo);
  try {
    photo.answer = await answered(photo.file);
  } catch (problem) {
    photo.error = problem.message;
  }
  if (photo.figure.isConnected) show(photo);
}

async function answered(file) {
  if (file.size > about.max_bytes) throw new Error(`more than ${about.max_bytes / 1e6} MB, which is the most that a photo may have`);
  const near = about.neighbours ? `&neighbours=${NEIGHBOURS}` : "";
  const given = { method: "POST", body: file, headers: { "Content-Type": "application/octet-stream" } };
  for (const until = Date.now() + 1000 * PATIENCE; ;) {
    let answer, text;
    try {
      answer = await ask(`predict?top=0${near}`, given);
      text = await answer.text();
    } catch {
      throw new Error("it could not be sent: the server is gone, or the file cannot be read");
    }
    if (answer.status === 503 && Date.now() < until) {
      await pause(Number(answer.headers.get("Retry-After")) || 1);
      continue;
    }
    if (answer.status === 401) learn();
    const found = JSON.parse(text);
    if (!answer.ok) throw new Error(found.error);
    return found;
  }
}

async function preview(photo) {
  try {
    const whole = await createImageBitmap(photo.file);
    const scale = Math.min(1, LONGER_SIDE / Math.max(whole.width, whole.height));
    const canvas = element("canvas");
    canvas.width = Math.max(1, Math.round(scale * whole.width));
    canvas.height = Math.max(1, Math.round(scale * whole.height));
    canvas.getContext("2d").drawImage(whole, 0, 0, canvas.width, canvas.height);
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", photo.name);
    whole.close();
    photo.picture.replaceChildren(canvas);
  } catch {
    photo.picture.textContent = "no preview";
  }
}

function words(answer) {
  if (answer.outlier) return "Looks like nothing that the model was trained on: its answer means little.";
  return answer.outlier === false ? "Looks like the photos of the training." : "Whether it looks like the training photos is not known.";
}

function bars(pairs) {
  const list = element("ul", "bars");
  for (const [label, share] of pairs) {
    const item = element("li"), bar = element("span", "bar"), filled = element("span");
    filled.style.width = `${100 * share}%`;
    bar.append(filled);
    item.append(element("span", "name", label), element("span", "percent", percent(share)), bar);
    list.append(item);
  }
  return list;
}

function show(photo) {
  const { answer, caption } = photo;
  caption.replaceChildren();
  if (!answer) {
    caption.append(element("span", "answer", "not predicted"), element("small", "name", photo.name));
    caption.append(element("p", "words failed", photo.error));
    return;
  }
  const pairs = Object.entries(answer.probabilities).sort((a, b) => b[1] - a[1]);
  caption.append(element("span", "answer name", `${answer.answer ?? answer.label} ${percent(answer.answer_confidence ?? answer.confidence)}`));
  const deeper = Object.entries(answer.deeper ?? {}).map(([name, share]) => `${name} ${percent(share)}`);
  if (deeper.length) caption.append(element("small", "name", `deeper: ${deeper.join(", ")}`));
  caption.append(element("small", "name", photo.name));
  caption.append(element("p", answer.outlier ? "words strange" : "words", words(answer)));
  caption.append(bars(pairs.slice(0, SHOWN)));
  if (pairs.length > SHOWN) {
    const more = element("details");
    more.append(element("summary", "", `${pairs.length - SHOWN} more labels`), bars(pairs.slice(SHOWN)));
    caption.append(more);
  }
  if (answer.neighbours) caption.append(element("small", "", "resembles most, in the training"), near(answer.neighbours));
}

function near(neighbours) {
  const list = element("ol", about.training_photos ? "near seen" : "near");
  for (const each of neighbours) {
    const item = element("li");
    if (about.training_photos) {
      const picture = element("div", "picture", "not shown");
      item.append(picture);
      trainingPhoto(each.row, picture);
    }
    item.append(element("small", "name", `${each.label ?? "without a label"}: ${each.image}`));
    list.append(item);
  }
  return list;
}

async function trainingPhoto(row, picture) {
  const answer = await ask(`training-photos/${row}`);
  if (!answer.ok) return;
  const image = element("img");
  image.alt = "";
  image.src = URL.createObjectURL(await answer.blob());
  image.onload = () => URL.revokeObjectURL(image.src);
  picture.replaceChildren(image);
}

// -- all of them ---

function tell() {
  const done = photos.filter((each) => each.answer || each.error);
  one("together").hidden = photos.length === 0;
  const failed = done.filter((each) => each.error).length;
  one("progress").textContent = photos.length === 0 ? "" :
    `${done.length} of ${photos.length} done${failed ? `, ${failed} not predicted` : ""}`;
  one("rows").replaceChildren(...done.map((photo) => {
    const row = element("tr"), { answer } = photo;
    const name = element("th", "name", photo.name);
    name.scope = "row";
    row.append(name, element("td", "name", answer ? answer.answer ?? answer.label : "–"));
    row.append(element("td", "number", answer ? percent(answer.answer_confidence ?? answer.confidence) : ""));
    row.append(element("td", "", answer ? (answer.outlier ? "outlier" : "") : photo.error));
    return row;
  }));
}

const quoted = (value) => /[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value;

// The columns of `classify predict --format csv --top 0`, and the reason where there is no answer.
function csv() {
  const general = about.answers ? ["answer", "answer_level", "answer_confidence"] : [];
  const lines = [["image", "label", "confidence", "outlier", ...general, ...about.labels, "error"]];
  for (const { name, answer, error } of photos.filter((each) => each.answer || each.error)) {
    const flag = answer ? { true: "yes", false: "no" }[answer.outlier] ?? "" : "";
    const known = answer ? [answer.label, answer.confidence, flag] : ["", "", ""];
    known.push(...general.map((column) => answer ? answer[column] : ""));
    lines.push([name, ...known, ...about.labels.map((label) => answer ? answer.probabilities[label] : ""), error ?? ""]);
  }
  return lines.map((line) => line.map((value) => quoted(String(value))).join(",") + "\r\n").join("");
}

one("download").addEventListener("click", () => {
  const link = element("a");
  link.href = URL.createObjectURL(new Blob([csv()], { type: "text/csv" }));
  link.download = `${about.name}.csv`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
});
one("clear").addEventListener("click", () => {
  photos.length = 0;
  one("photos").replaceChildren();
  tell();
  one("choose").focus();
});

learn();
