{
// The map: points on a canvas, which pointer, touch and keys move; the page holds their data.
const COLOURS = 6, SIDES = ["circle", "square", "up", "diamond", "down", "plus"], NEAR = 14, FEW_PAIRS = 100;
const map = document.querySelector(".map");
const data = JSON.parse(document.querySelector(".map-data").content.textContent);
const canvas = map.querySelector("canvas"), pen = canvas.getContext("2d");
const tip = map.querySelector(".map-tip"), photo = map.querySelector(".map-photo");
const n = data.x.length, shown = new Uint8Array(n).fill(1);
const marked = { wrong: new Set(data.wrong), outlier: new Set(data.outlier), pairs: new Set(data.pairs.flat()) };
const byLabel = data.labels.map(() => []);
data.label.forEach((label, point) => byLabel[label].push(point));
const hidden = new Set(), only = new Set(), pointers = new Map();
let view = { scale: 1, x: 0, y: 0 }, colours = {}, selected = -1, hovered = -1, asked = false;
map.hidden = false;

function readColours() {
  const style = getComputedStyle(document.documentElement), of = (name) => style.getPropertyValue(name).trim();
  colours = { ink: of("--ink"), soft: of("--soft"), warn: of("--warn"), paper: of("--card") };
  colours.marks = Array.from({ length: COLOURS }, (_, place) => of(`--mark-${place + 1}`));
}

const colourOf = (label) => colours.marks[label % COLOURS];
const shapeOf = (label) => SIDES[(label + Math.floor(label / COLOURS)) % SIDES.length];

// Where a point is on the canvas, in pixels of the page.
const box = () => ({ width: canvas.clientWidth, height: canvas.clientHeight });
const unit = () => Math.min(box().width, box().height) - 28;
const placeX = (point) => (box().width - unit()) / 2 + (data.x[point] * unit()) * view.scale + view.x;
const placeY = (point) => (box().height - unit()) / 2 + ((1 - data.y[point]) * unit()) * view.scale + view.y;

function shape(pen, kind, x, y, r) {
  if (kind === "circle") { pen.moveTo(x + r, y); pen.arc(x, y, r, 0, 2 * Math.PI); return; }
  if (kind === "square") { const s = 0.88 * r; pen.rect(x - s, y - s, 2 * s, 2 * s); return; }
  if (kind === "plus") { const s = 0.4 * r; pen.rect(x - s, y - r, 2 * s, 2 * r); pen.rect(x - r, y - s, 2 * r, 2 * s); return; }
  const t = 1.15 * r;
  if (kind === "diamond") { pen.moveTo(x, y - t); pen.lineTo(x + t, y); pen.lineTo(x, y + t); pen.lineTo(x - t, y); }
  else { const up = kind === "up" ? 1 : -1; pen.moveTo(x, y - up * t); pen.lineTo(x + t, y + up * 0.8 * t); pen.lineTo(x - t, y + up * 0.8 * t); }
  pen.closePath();
}

function draw() {
  asked = false;
  const ratio = devicePixelRatio || 1, { width, height } = box();
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  const side = unit(), left = (width - side) / 2 + view.x, top = (height - side) / 2 + view.y, large = side * view.scale;
  const x = (point) => left + data.x[point] * large, y = (point) => top + (1 - data.y[point]) * large;
  const seen = (point) => shown[point] && x(point) > -20 && y(point) > -20 && x(point) < width + 20 && y(point) < height + 20;
  const r = Math.min(9, (n > 1000 ? 3 : n > 200 ? 4 : 5) * Math.max(1, view.scale) ** 0.4);
  const strokes = (points, colour, thick, path) => {
    pen.beginPath();
    for (const point of points) if (seen(point)) path(x(point), y(point));
    pen.strokeStyle = colour;
    pen.lineWidth = thick;
    pen.stroke();
  };
  // Each line by itself: one path of thousands that cross takes ten times as long. Many are left out on the move.
  pen.strokeStyle = colours.warn;
  pen.lineWidth = data.pairs.length > FEW_PAIRS ? 0.7 : 1.5;
  for (const [one, other] of pointers.size && data.pairs.length > FEW_PAIRS ? [] : data.pairs) {
    if (!shown[one] || !shown[other] || !(seen(one) || seen(other))) continue;
    pen.beginPath();
    pen.moveTo(x(one), y(one));
    pen.lineTo(x(other), y(other));
    pen.stroke();
  }
  byLabel.forEach((points, label) => {
    pen.beginPath();
    for (const point of points) if (seen(point)) shape(pen, shapeOf(label), x(point), y(point), r);
    pen.fillStyle = colourOf(label);
    pen.fill();
  });
  strokes(data.wrong, colours.ink, 1.4, (a, b) => { pen.moveTo(a + r + 2.5, b); pen.arc(a, b, r + 2.5, 0, 2 * Math.PI); });
  const c = r + 1.5;
  strokes(data.outlier, colours.ink, 1.2, (a, b) => { pen.moveTo(a - c, b - c); pen.lineTo(a + c, b + c); pen.moveTo(a - c, b + c); pen.lineTo(a + c, b - c); });
  for (const point of [hovered, selected]) if (point >= 0) strokes([point], colours.ink, 3, (a, b) => { pen.moveTo(a + r + 6, b); pen.arc(a, b, r + 6, 0, 2 * Math.PI); });
}

function ask() {
  if (!asked) { asked = true; requestAnimationFrame(draw); }
}

function filter() {
  let count = 0;
  for (let point = 0; point < n; point++) {
    shown[point] = !hidden.has(data.label[point]) && [...only].every((kind) => marked[kind].has(point));
    count += shown[point];
  }
  map.querySelector(".map-count").textContent = count === n ? `${n} photos` : `${count} of ${n} photos`;
  if (selected >= 0 && !shown[selected]) select(-1);
  ask();
}

// The element that tells of a photo; names are text, whatever they hold.
function tell(point, into, brief) {
  into.replaceChildren();
  const thumbnail = data.thumbnails[point];
  if (thumbnail) {
    const image = document.createElement("img");
    image.src = thumbnail.startsWith("#") ? document.querySelector(`${thumbnail} img`).src : thumbnail;
    image.alt = data.image[point];
    into.append(image);
  }
  const line = (text, tag) => {
    const one = document.createElement("p"), inside = document.createElement(tag);
    inside.className = "name";
    inside.textContent = text;
    one.append(inside);
    into.append(one);
  };
  const label = data.labels[data.label[point]], said = data.predicted[point];
  line(marked.wrong.has(point) ? `${label} taken for ${said}` : label, "strong");
  if (brief) return;
  if (said && !marked.wrong.has(point)) line(`predicted ${said}`, "span");
  line(data.image[point], "small");
  if (marked.outlier.has(point)) line("An outlier: far from its fifth nearest photo.", "small");
  for (const pair of data.pairs) if (pair.includes(point)) line(`Nearly the same as ${data.image[pair[0] === point ? pair[1] : pair[0]]}`, "small");
}

function select(point) {
  selected = point;
  if (point >= 0) {
    tell(point, photo);
    const { width, height } = box(), x = placeX(point), y = placeY(point);
    if (x < 12 || x > width - 12) view.x += width / 2 - x;
    if (y < 12 || y > height - 12) view.y += height / 2 - y;
  } else photo.replaceChildren();
  ask();
}

function nearest(x, y, within) {
  let best = -1, least = within * within;
  for (let point = 0; point < n; point++) {
    if (!shown[point]) continue;
    const a = placeX(point) - x, b = placeY(point) - y, distance = a * a + b * b;
    if (distance < least) { least = distance; best = point; }
  }
  return best;
}

// Zoom so that what lies at (x, y) stays there.
function zoom(factor, x = box().width / 2, y = box().height / 2) {
  const scale = Math.min(60, Math.max(0.8, view.scale * factor)), by = scale / view.scale;
  const left = (box().width - unit()) / 2, top = (box().height - unit()) / 2;
  view = { scale, x: x - left - (x - left - view.x) * by, y: y - top - (y - top - view.y) * by };
  ask();
}

function whole() {
  view = { scale: 1, x: 0, y: 0 };
  ask();
}

// The next photo in a direction: near, and not far to its side.
function step(dx, dy) {
  if (selected < 0) return select(nearest(box().width / 2, box().height / 2, 1e6));
  const x = placeX(selected), y = placeY(selected);
  let best = -1, least = Infinity;
  for (let point = 0; point < n; point++) {
    if (!shown[point] || point === selected) continue;
    const a = placeX(point) - x, b = placeY(point) - y, ahead = a * dx + b * dy, aside = Math.abs(a * dy - b * dx);
    const cost = ahead + 2 * aside;
    if (ahead > 0 && aside <= 2 * ahead && cost < least) { least = cost; best = point; }
  }
  if (best >= 0) select(best);
}

let moved = 0;
const at = (event) => { const edge = canvas.getBoundingClientRect(); return { x: event.clientX - edge.x, y: event.clientY - edge.y }; };

canvas.addEventListener("pointerdown", (event) => {
  canvas.setPointerCapture(event.pointerId);
  pointers.set(event.pointerId, at(event));
  if (pointers.size === 1) moved = 0;
  tip.hidden = true;
});
canvas.addEventListener("pointermove", (event) => {
  const now = at(event), before = pointers.get(event.pointerId);
  if (!before) return hover(now);
  const others = [...pointers].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
  moved += Math.hypot(now.x - before.x, now.y - before.y);
  if (others.length) {
    const far = (place) => Math.max(10, Math.hypot(place.x - others[0].x, place.y - others[0].y));
    zoom(far(now) / far(before), (now.x + others[0].x) / 2, (now.y + others[0].y) / 2);
    moved += 10;
  }
  const share = others.length ? 0.5 : 1;
  view.x += (now.x - before.x) * share;
  view.y += (now.y - before.y) * share;
  pointers.set(event.pointerId, now);
  ask();
});
function release(event) {
  const place = pointers.get(event.pointerId);
  pointers.delete(event.pointerId);
  ask();
  if (place && event.type === "pointerup" && !pointers.size && moved < 6) {
    select(nearest(place.x, place.y, event.pointerType === "mouse" ? NEAR : 2 * NEAR));
  }
}
canvas.addEventListener("pointerup", release);
canvas.addEventListener("pointercancel", release);
canvas.addEventListener("pointerleave", () => { tip.hidden = true; hovered = -1; ask(); });
function hover(place) {
  const point = nearest(place.x, place.y, NEAR);
  if (point === hovered) return;
  hovered = point;
  tip.hidden = point < 0;
  if (point >= 0) {
    tell(point, tip, true);
    const { width, height } = box(), x = placeX(point), y = placeY(point);
    tip.style.left = x < width / 2 ? `${x + 16}px` : "";
    tip.style.right = x < width / 2 ? "" : `${width - x + 16}px`;
    tip.style.top = y < height / 2 ? `${Math.max(0, y)}px` : "";
    tip.style.bottom = y < height / 2 ? "" : `${Math.max(0, height - y)}px`;
  }
  ask();
}
// The wheel moves the page, as everywhere, unless the map was chosen or Ctrl is held.
canvas.addEventListener("wheel", (event) => {
  if (!event.ctrlKey && document.activeElement !== canvas) return;
  event.preventDefault();
  const { x, y } = at(event);
  zoom(Math.exp(-event.deltaY / 400), x, y);
}, { passive: false });

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
canvas.addEventListener("keydown", (event) => {
  const arrow = ARROWS[event.key];
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  if (arrow && event.shiftKey) { view.x -= 60 * arrow[0]; view.y -= 60 * arrow[1]; ask(); }
  else if (arrow) step(...arrow);
  else if (event.key === "+" || event.key === "=") zoom(1.5);
  else if (event.key === "-") zoom(1 / 1.5);
  else if (event.key === "0") whole();
  else if (event.key === "Escape") select(-1);
  else return;
  event.preventDefault();
});

for (const button of map.querySelectorAll("[data-zoom]")) {
  button.addEventListener("click", () => (Number(button.dataset.zoom) ? zoom(Number(button.dataset.zoom)) : whole()));
}
map.querySelector("[data-save]").addEventListener("click", (event) => {
  const whole = document.createElement("canvas"), brush = whole.getContext("2d");
  whole.width = canvas.width;
  whole.height = canvas.height;
  brush.fillStyle = colours.paper;
  brush.fillRect(0, 0, whole.width, whole.height);
  brush.drawImage(canvas, 0, 0);
  whole.toBlob((picture) => saveFile(picture, event.target.dataset.save));
});
for (const input of map.querySelectorAll("[data-only]")) {
  input.addEventListener("change", () => { only[input.checked ? "add" : "delete"](input.dataset.only); filter(); });
}

const swatches = [];
const inputs = data.labels.map((name, label) => {
  const line = document.createElement("label"), input = document.createElement("input");
  const swatch = document.createElement("canvas"), words = document.createElement("span"), count = document.createElement("small");
  input.type = "checkbox";
  input.checked = true;
  input.addEventListener("change", () => { hidden[input.checked ? "delete" : "add"](label); filter(); });
  swatch.width = swatch.height = 28;
  swatches.push(swatch);
  words.textContent = name;
  words.className = "name";
  count.textContent = byLabel[label].length;
  line.append(input, swatch, words, count);
  map.querySelector(".map-labels").append(line);
  return input;
});
for (const button of map.querySelectorAll("[data-every]")) {
  button.addEventListener("click", () => {
    inputs.forEach((input, label) => {
      input.checked = Boolean(button.dataset.every);
      hidden[input.checked ? "delete" : "add"](label);
    });
    filter();
  });
}

function dress() {
  readColours();
  swatches.forEach((swatch, label) => {
    const brush = swatch.getContext("2d");
    brush.clearRect(0, 0, 28, 28);
    brush.beginPath();
    shape(brush, shapeOf(label), 14, 14, 10);
    brush.fillStyle = colourOf(label);
    brush.fill();
  });
  ask();
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", dress);
new ResizeObserver(ask).observe(canvas);
dress();
filter();
}
