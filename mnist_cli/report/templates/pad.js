// The drawing pad: what is drawn or loaded, and what the model makes of it.

const byId = id => document.getElementById(id);
const data = JSON.parse(byId("pad-data").textContent);
const [height, width] = data.shape;
const model = {weights: floatsOf(data.weights), bias: floatsOf(data.bias), zero: data.zero, step: data.step};
const map = mapOf(data.map); // null: the inputs are the pixels
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
  const inputs = map ? featuresOf(map, pixels) : pixels;
  const seen = map ? seenBy(map, pixels) : {height, width, at: pixels};
  const values = logits(model, inputs);
  const probabilities = softmax(values);
  const predicted = values.indexOf(Math.max(...values));
  return {pixels, inputs, seen, logits: values, probabilities, predicted, empty: !pixels.some(Boolean)};
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

// On one scale for all classes of an image, so that they can be compared.
const strongestEvidence = inputs => Math.max(1e-9, ...[...model.bias.keys()].map(other =>
  cellsOf(data.grid, evidence(model, inputs, other)).reduce((highest, value) => Math.max(highest, Math.abs(value)), 0)));

// The picture of an image's evidence: each cell's colour and sign, the stronger the nearer it comes to `strongest`.
// Cells are pixels, or the larger ones of a feature map, over which the ink stays visible.
const paintEvidence = (canvas, [height, width], pixels, cells, strongest, [rows, columns] = [height, width]) => {
  const context = canvas.getContext("2d");
  const {width: across, height: down} = canvas;
  const [paper, against, inFavour, muted] = ["--paper", "--against", "--for", "--muted"].map(colour);
  const fill = (style, alpha, ...box) => {
    [context.fillStyle, context.globalAlpha] = [style, alpha];
    context.fillRect(...box);
  };
  const ink = alpha => pixels.forEach((value, index) => value && fill(muted, alpha * value / 255,
    index % width * across / width, Math.floor(index / width) * down / height, across / width, down / height));
  const [cellWidth, cellHeight] = [across / columns, down / rows];
  const cell = Math.min(cellWidth, cellHeight);
  context.clearRect(0, 0, across, down);
  const isCoarse = rows !== height || columns !== width;
  if (!isCoarse) ink(0.22);
  cells.forEach((value, index) => {
    const [x, y] = [index % columns * cellWidth, Math.floor(index / columns) * cellHeight];
    const share = Math.min(1, Math.abs(value) / strongest);
    fill(value < 0 ? against : inFavour, share ** 0.6, x, y, cellWidth, cellHeight);
    if (share < 0.08 || cell < 8) return;
    const long = Math.round(Math.min(cell, 24) * 0.5);
    const thin = Math.max(1, Math.round(long / 4.5));
    fill(paper, 0.9, x + (cellWidth - long) / 2, y + (cellHeight - thin) / 2, long, thin);
    if (value > 0) fill(paper, 0.9, x + (cellWidth - thin) / 2, y + (cellHeight - long) / 2, thin, long);
  });
  if (isCoarse) ink(0.7);
  context.globalAlpha = 1;
};

// Each part of a feature map with its evidence, and a square for each of its grids: the redder, the more against.
const listParts = sums => {
  const strongest = Math.max(1e-9, ...sums.flat().map(Math.abs));
  byId("pad-parts").replaceChildren(...sums.flatMap((ofMaps, index) => {
    const [name, value, squares] = ["dt", "dd", "dd"].map(tag => document.createElement(tag));
    name.textContent = data.grid.parts[index].name;
    value.textContent = signed(ofMaps.reduce((sum, each) => sum + each, 0));
    squares.append(...ofMaps.map((each, place) => {
      const square = document.createElement("i");
      square.title = `grid ${place + 1}: ${signed(each)}`;
      square.className = each < 0 ? "negative" : "positive";
      square.style.opacity = (Math.abs(each) / strongest) ** 0.6;
      return square;
    }));
    return [name, value, squares];
  }));
};

// Many classes have a list that scrolls: the predicted one is brought into its middle, unless somebody is choosing.
const keepInView = row => {
  const list = row.parentElement;
  const [at, box] = [row.getBoundingClientRect(), list.getBoundingClientRect()];
  if (list.contains(document.activeElement) || (at.top >= box.top && at.bottom <= box.bottom)) return;
  list.scrollTop += at.top - box.top - (box.height - at.height) / 2;
};

const write = (state, k, cells) => {
  // Of an empty pad nothing is predicted: there is evidence for nothing, unless a class was asked for.
  const idle = state.empty && chosen === null;
  rows.forEach((row, index) => {
    row.querySelector("[data-bar]").style.transform = `scaleX(${state.empty ? 0 : state.probabilities[index]})`;
    row.querySelector("[data-probability]").textContent = state.empty ? "–" : percent(state.probabilities[index]);
    row.querySelector("input").checked = index === k && !idle;
    row.classList.toggle("predicted", !state.empty && index === state.predicted);
  });
  const sum = keep => cells.reduce((total, value) => total + (keep(value) ? value : 0), 0);
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
  const terms = evidence(model, state.inputs, k);
  const cells = cellsOf(data.grid, terms);
  const {seen: image} = state;
  paintDrawing();
  paintEvidence(seen, [image.height, image.width], image.at, cells, strongestEvidence(state.inputs), data.grid.shape);
  if (map) listParts(byMap(data.grid, terms));
  write(state, k, cells);
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
window.mnistReport = {
  data, model, map, examine, evidence, cellsOf, byMap, featuresOf, seenBy, normalise, logits, softmax, loadImage,
  ink: () => ink,
};
