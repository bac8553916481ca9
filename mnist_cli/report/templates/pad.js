// The drawing pad: what is drawn or loaded, and what the model makes of it.

const byId = id => document.getElementById(id);
const data = JSON.parse(byId("pad-data").textContent);
const [height, width] = data.shape;
const model = {weights: floatsOf(data.weights), bias: floatsOf(data.bias)};
const FINE = Math.max(2, Math.round(280 / Math.max(height, width))); // pixels of the pad for one of the image
// Of the pen: MNIST's strokes are between two and three of 28 pixels wide.
const RADIUS = FINE * Math.max(0.6, 1.2 / 28 * Math.min(height, width));
const STEP = FINE * Math.max(1, Math.round(Math.max(height, width) / 28)); // of the arrow keys
const CELL = Math.max(2, Math.round(448 / Math.max(height, width))); // pixels that the evidence gives to one of the image
const TALLEST = 420; // of a canvas on the page, in CSS pixels

const drawing = byId("pad-drawing");
const seen = byId("pad-seen");
const rows = [...document.querySelectorAll("[data-class]")];

// What was done, in order; the pad shows all that follows the last image or clearing. Undoing takes the last away.
let actions = [];
let ink = blank(height * FINE, width * FINE);
let image = null; // the loaded bytes, as long as nothing is drawn over them: no need to normalise those
let chosen = null; // the class whose evidence is shown; null: the predicted one
let cursor = {x: ink.width / 2, y: ink.height / 2, down: false, visible: false};

const colour = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const percent = share => `${(100 * share).toFixed(1)} %`;
const nameOf = index => `${data.images[index].name}, label ${data.classes[data.images[index].label]}`;
const signed = value => {
  const size = Math.abs(value).toFixed(2);
  return size === "0.00" ? size : `${value < 0 ? "−" : "+"}${size}`;
};

const load = bytes => {
  ink.at.forEach((_, index) => {
    const [row, column] = [Math.floor(index / ink.width / FINE), Math.floor((index % ink.width) / FINE)];
    ink.at[index] = bytes[row * width + column] / 255;
  });
  image = bytes;
};

const perform = action => {
  if (action.kind === "clear") {
    ink.at.fill(0);
    image = null;
  } else if (action.kind === "image") {
    load(bytesOf(data.images[action.index].pixels));
  } else {
    action.points.forEach((point, index) => stroke(ink, action.points[Math.max(0, index - 1)], point, RADIUS));
    image = null;
  }
};

const replay = () => {
  perform({kind: "clear"});
  actions.slice(Math.max(0, actions.findLastIndex(action => action.kind !== "stroke"))).forEach(perform);
};

const examine = () => {
  const pixels = image ?? normalise(ink, height, width);
  const values = logits(model, pixels);
  const probabilities = softmax(values);
  const predicted = values.indexOf(Math.max(...values));
  return {pixels, logits: values, probabilities, predicted, empty: !pixels.some(Boolean)};
};

const paintDrawing = () => {
  const context = drawing.getContext("2d");
  const [red, green, blue] = colour("--ink-rgb").split(" ").map(Number);
  const pixels = context.createImageData(ink.width, ink.height);
  ink.at.forEach((value, index) => pixels.data.set([red, green, blue, Math.round(255 * value)], 4 * index));
  context.putImageData(pixels, 0, 0);
  if (!cursor.visible) return;
  // A ring is a lifted pen, a ring around a dot one that draws.
  [context.strokeStyle, context.fillStyle] = [colour("--accent"), colour("--accent")];
  context.lineWidth = Math.max(1.5, FINE / 5);
  context.beginPath();
  context.arc(cursor.x, cursor.y, 1.3 * RADIUS, 0, 2 * Math.PI);
  context.stroke();
  if (!cursor.down) return;
  context.beginPath();
  context.arc(cursor.x, cursor.y, 0.6 * RADIUS, 0, 2 * Math.PI);
  context.fill();
};

// The evidence of each pixel over the image: its colour and its sign, the stronger the nearer it comes to the strongest
// evidence that any class gets from this image, so that classes can be compared.
const paintEvidence = (state, k) => {
  const context = seen.getContext("2d");
  const cell = CELL;
  const strongest = Math.max(1e-9, ...[...model.bias.keys()].map(other =>
    evidence(model, state.pixels, other).reduce((highest, value) => Math.max(highest, Math.abs(value)), 0)));
  const parts = evidence(model, state.pixels, k);
  context.clearRect(0, 0, seen.width, seen.height);
  const [paper, against, inFavour, muted] = ["--paper", "--against", "--for", "--muted"].map(colour);
  parts.forEach((value, index) => {
    const [x, y] = [(index % width) * cell, Math.floor(index / width) * cell];
    context.globalAlpha = 0.22 * state.pixels[index] / 255;
    context.fillStyle = muted;
    context.fillRect(x, y, cell, cell);
    const share = Math.abs(value) / strongest;
    context.globalAlpha = share ** 0.6;
    context.fillStyle = value < 0 ? against : inFavour;
    context.fillRect(x, y, cell, cell);
    if (share < 0.08 || cell < 8) return;
    context.globalAlpha = 0.9;
    context.fillStyle = paper;
    const [long, thin] = [Math.round(cell * 0.5), Math.max(1, Math.round(cell / 9))];
    context.fillRect(x + (cell - long) / 2, y + (cell - thin) / 2, long, thin);
    if (value > 0) context.fillRect(x + (cell - thin) / 2, y + (cell - long) / 2, thin, long);
  });
  context.globalAlpha = 1;
  return parts;
};

// Many classes have a list that scrolls: the predicted one is brought into its middle, unless somebody is choosing.
const keepInView = row => {
  const list = row.parentElement;
  const [at, box] = [row.getBoundingClientRect(), list.getBoundingClientRect()];
  if (list.contains(document.activeElement) || (at.top >= box.top && at.bottom <= box.bottom)) return;
  list.scrollTop += at.top - box.top - (box.height - at.height) / 2;
};

const write = (state, k, parts) => {
  // Of an empty pad nothing is predicted: there is evidence for nothing, unless a class was asked for.
  const idle = state.empty && chosen === null;
  rows.forEach((row, index) => {
    row.querySelector("[data-bar]").style.transform = `scaleX(${state.empty ? 0 : state.probabilities[index]})`;
    row.querySelector("[data-probability]").textContent = state.empty ? "–" : percent(state.probabilities[index]);
    row.querySelector("input").checked = index === k && !idle;
    row.classList.toggle("predicted", !state.empty && index === state.predicted);
  });
  const sum = keep => parts.reduce((total, value) => total + (keep(value) ? value : 0), 0);
  if (!state.empty) keepInView(rows[state.predicted]);
  byId("pad-class").textContent = idle ? "–" : data.classes[k];
  byId("pad-for").textContent = idle ? "–" : signed(sum(value => value > 0));
  byId("pad-against").textContent = idle ? "–" : signed(sum(value => value < 0));
  byId("pad-bias").textContent = idle ? "–" : signed(model.bias[k]);
  byId("pad-logit").textContent = idle ? "–" : signed(state.logits[k]);
  const last = actions.at(-1);
  byId("pad-loaded").textContent = last?.kind === "image" ? nameOf(last.index) : "";
  byId("pad-says").textContent = state.empty
    ? "nothing yet" : `${data.classes[state.predicted]}, ${percent(state.probabilities[state.predicted])}`;
  byId("pad-follow").checked = chosen === null;
  byId("pad-undo").disabled = !actions.length;
  byId("pad-clear").disabled = state.empty;
};

const show = () => {
  const state = examine();
  const k = chosen ?? state.predicted;
  paintDrawing();
  write(state, k, paintEvidence(state, k));
  return state;
};

// Screen readers hear a result when something is finished, not at every movement.
const announce = text => {
  const state = show();
  const result = state.empty ? "The pad is empty." : `The model says ${data.classes[state.predicted]}, ` +
    `${percent(state.probabilities[state.predicted])}.`;
  byId("pad-status").textContent = text ? `${text} ${result}` : result;
};

const act = (action, text) => {
  actions.push(action);
  perform(action);
  announce(text);
};

const undo = () => {
  if (!actions.length) return;
  actions.pop();
  replay();
  announce("Undone.");
};

const clear = () => {
  if (examine().empty) return;
  act({kind: "clear"}, "");
};

const loadImage = index => {
  act({kind: "image", index}, `${nameOf(index)}.`);
};

// Pointer events are mouse, pen and finger in one.
const extend = (action, point) => {
  stroke(ink, action.points.at(-1) ?? point, point, RADIUS);
  action.points.push(point);
  image = null;
};

const place = event => {
  const box = drawing.getBoundingClientRect();
  return [(event.clientX - box.left) * ink.width / box.width, (event.clientY - box.top) * ink.height / box.height];
};

let drawn = null; // the stroke that a pointer is drawing
let pending = 0; // the frame in which it will be shown
const showSoon = () => {
  pending ||= requestAnimationFrame(() => {
    pending = 0;
    show();
  });
};

drawing.addEventListener("pointerdown", event => {
  if (drawn || event.button) return;
  drawing.setPointerCapture(event.pointerId);
  cursor.visible = cursor.down = false;
  drawn = {kind: "stroke", pointer: event.pointerId, points: []};
  actions.push(drawn);
  extend(drawn, place(event));
  showSoon();
});
drawing.addEventListener("pointermove", event => {
  if (drawn?.pointer !== event.pointerId) return;
  const moves = event.getCoalescedEvents?.() ?? [];
  (moves.length ? moves : [event]).forEach(move => extend(drawn, place(move)));
  showSoon();
});
for (const name of ["pointerup", "pointercancel"]) {
  drawing.addEventListener(name, event => {
    if (drawn?.pointer !== event.pointerId) return;
    drawn = null;
    announce("");
  });
}

// Keys: arrows move the pen, space puts it down and lifts it.
const MOVES = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};
let penned = null; // the stroke that the keys are drawing

const penDown = down => {
  cursor.down = down;
  penned = down ? {kind: "stroke", points: []} : null;
  if (down) {
    actions.push(penned);
    extend(penned, [cursor.x, cursor.y]);
  }
  announce(down ? "Pen down." : "Pen up.");
};

const movePen = ([x, y], far) => {
  const length = far ? 4 * STEP : STEP;
  cursor.x = Math.min(ink.width, Math.max(0, cursor.x + x * length));
  cursor.y = Math.min(ink.height, Math.max(0, cursor.y + y * length));
  if (penned) extend(penned, [cursor.x, cursor.y]);
  show();
};

drawing.addEventListener("keydown", event => {
  const command = event.ctrlKey || event.metaKey;
  if (event.altKey || (command && event.key !== "z")) return;
  cursor.visible = true;
  if (MOVES[event.key]) movePen(MOVES[event.key], event.shiftKey);
  else if (event.key === " ") event.repeat || penDown(!cursor.down);
  else if (event.key === "z" && command) undoPen();
  else if (event.key === "Delete" || event.key === "Backspace") clearPen();
  else return;
  event.preventDefault();
});
drawing.addEventListener("focus", () => {
  cursor.visible = drawing.matches(":focus-visible");
  paintDrawing();
});
drawing.addEventListener("blur", () => {
  cursor.visible = cursor.down = false;
  penned = null;
  paintDrawing();
});

const lifted = work => () => {
  cursor.down = false;
  penned = null;
  work();
};
const [undoPen, clearPen] = [lifted(undo), lifted(clear)];
byId("pad-undo").addEventListener("click", undoPen);
byId("pad-clear").addEventListener("click", clearPen);
byId("pad-random")?.addEventListener("click", () => {
  const drawnByLot = data.images.flatMap(({lot}, index) => lot ? [index] : []);
  loadImage(drawnByLot[Math.floor(Math.random() * drawnByLot.length)]);
});
byId("pad-follow").addEventListener("change", event => {
  chosen = event.target.checked ? null : examine().predicted;
  show();
});
rows.forEach((row, index) => row.querySelector("input").addEventListener("change", () => {
  chosen = index;
  show();
}));
document.querySelectorAll("[data-load]").forEach(button => button.addEventListener("click", () => {
  loadImage(Number(button.dataset.load));
  byId("draw").scrollIntoView();
  drawing.focus({preventScroll: true});
}));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);

[drawing.width, drawing.height] = [ink.width, ink.height];
[seen.width, seen.height] = [CELL * width, CELL * height];
for (const canvas of [drawing, seen]) canvas.style.maxWidth = `${TALLEST * width / height}px`;
document.querySelector(".pad").classList.toggle("flat", width > 2 * height);
document.documentElement.classList.add("scripted");
if (data.first !== null) act({kind: "image", index: data.first}, "");
show();

// For the console: the same functions that the page uses.
window.mnistReport = {data, model, examine, evidence, normalise, logits, softmax, loadImage, ink: () => ink};
