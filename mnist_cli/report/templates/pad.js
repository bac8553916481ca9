// The drawing pad: the drawing or a loaded image, and the model's prediction.

const data = JSON.parse(byId("pad-data").textContent);
const shape = data.shape;
const [height, width] = shape;
const model = {weights: floatsOf(data.weights), bias: floatsOf(data.bias), zero: data.zero, step: data.step};
const map = mapOf(data.map); // null: the inputs are the pixels
const TALLEST = 420; // the largest height of a canvas, in CSS pixels

const drawing = byId("pad-drawing");
const seen = byId("pad-seen");
const rows = [...document.querySelectorAll("[data-class]")];
const against = byId("pad-other");
let chosen = null; // the class whose evidence is shown; null: the predicted one

const percent = share => `${(100 * share).toFixed(1)} %`;
const nameOf = index => `${data.images[index].name}, label ${data.classes[data.images[index].label]}`;
const signed = value => {
  const size = Math.abs(value).toFixed(2);
  return size === "0.00" ? size : `${value < 0 ? "−" : "+"}${size}`;
};

const pad = makePad(drawing, shape, {changed: () => show(), finished: text => announce(text)});

const examine = () => {
  const pixels = pad.pixels();
  const inputs = map ? featuresOf(map, pixels) : pixels;
  const seen = map ? seenBy(map, pixels) : {height, width, at: pixels};
  const values = logits(model, inputs);
  const probabilities = softmax(values);
  const predicted = values.indexOf(Math.max(...values));
  return {pixels, inputs, seen, logits: values, probabilities, predicted, empty: !pixels.some(Boolean)};
};

const strongestOf = cells => cells.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-9);

// One scale for all classes of an image, so that they can be compared.
const strongestEvidence = inputs => Math.max(...[...model.bias.keys()].map(
  k => strongestOf(cellsOf(data.grid, evidence(model, inputs, k)))));

// Evidence for a class, or for it and against another one, by term of the sum and by cell.
const compared = (state, k, other) => {
  const [minus, bias, logit] = other === null
    ? [null, 0, 0] : [evidence(model, state.inputs, other), model.bias[other], state.logits[other]];
  const terms = evidence(model, state.inputs, k).map((value, index) => value - (minus ? minus[index] : 0));
  return {terms, cells: cellsOf(data.grid, terms), bias: model.bias[k] - bias, logit: state.logits[k] - logit};
};

// List each part of a feature map with its evidence and a square for each of its grids; redder is more against.
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

const write = (state, k, other, {cells, bias, logit}) => {
  const highest = Math.max(...state.logits);
  const truth = pad.image() === undefined ? null : data.images[pad.image()].label;
  rows.forEach((row, index) => {
    const power = Math.exp(state.logits[index] - highest);
    row.querySelector("[data-bar]").style.transform = `scaleX(${state.probabilities[index]})`;
    row.querySelector("[data-probability]").textContent = percent(state.probabilities[index]);
    row.querySelector("[data-logit]").textContent = signed(state.logits[index]);
    row.querySelector("[data-power]").textContent = power >= 0.001 ? power.toFixed(3) : power.toExponential(0).replace("-", "−");
    row.querySelector("input").checked = index === k;
    row.querySelector(".truth").hidden = index !== truth;
    row.classList.toggle("predicted", !state.empty && index === state.predicted);
  });
  const sum = keep => cells.reduce((total, value) => total + (keep(value) ? value : 0), 0);
  if (!state.empty) keepInView(rows[state.predicted].parentElement, rows[state.predicted]);
  byId("pad-class").textContent = other === null ? data.classes[k] : `${data.classes[k]} against ${data.classes[other]}`;
  byId("pad-for").textContent = signed(sum(value => value > 0));
  byId("pad-against").textContent = signed(sum(value => value < 0));
  byId("pad-bias").textContent = signed(bias);
  byId("pad-logit").textContent = signed(logit);
  byId("pad-logit-name").textContent = other === null ? "logit" : "difference";
  byId("pad-loaded").textContent = pad.image() === undefined ? "" : nameOf(pad.image());
  byId("pad-lead").hidden = state.empty;
  byId("pad-says").textContent = state.empty
    ? `Nothing drawn yet: the bars ${map ? "are those of an empty image" : "show softmax(b)"}` : `${data.classes[state.predicted]}, ${percent(state.probabilities[state.predicted])}`;
  byId("pad-follow").checked = chosen === null;
  byId("pad-undo").disabled = !pad.canUndo();
  byId("pad-clear").disabled = byId("pad-save").disabled = state.empty;
};

const show = () => {
  const state = examine();
  const k = chosen ?? state.predicted;
  const other = against.value === "" || Number(against.value) === k ? null : Number(against.value);
  const found = compared(state, k, other);
  const scale = Math.max(strongestEvidence(state.inputs), other === null ? 0 : strongestOf(found.cells));
  const {seen: image} = state;
  paintEvidence(seen, [image.height, image.width], image.at, found.cells, scale, data.grid.shape);
  if (map) listParts(byMap(data.grid, found.terms));
  write(state, k, other, found);
  return state;
};

// Screen readers get a result after every action, not at every movement.
const announce = text => {
  const state = show();
  const result = state.empty ? "The pad is empty." : `The model says ${data.classes[state.predicted]}, ` +
    `${percent(state.probabilities[state.predicted])}.`;
  byId("pad-status").textContent = text ? `${text} ${result}` : result;
};

const loadImage = index => pad.show(bytesOf(data.images[index].pixels), index, `${nameOf(index)}.`);

byId("pad-undo").addEventListener("click", pad.undo);
byId("pad-clear").addEventListener("click", pad.clear);
byId("pad-save").addEventListener("click", () => {
  const link = document.createElement("a");
  [link.href, link.download] = [pad.picture().toDataURL("image/png"), "drawing.png"];
  link.click();
});
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
against.addEventListener("change", show);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  pad.paint();
  show();
});

for (const canvas of [drawing, seen]) canvas.style.maxWidth = `${TALLEST * width / height}px`;
document.querySelector(".pad").classList.toggle("flat", width > 2 * height);
document.documentElement.classList.add("scripted");
if (data.first !== null) loadImage(data.first);
pad.paint();
show();

// For the console and tests: the functions that the page uses.
window.mnistReport = {
  data, model, map, pad, examine, evidence, cellsOf, byMap, featuresOf, seenBy, normalise, logits, softmax, loadImage,
  ink: pad.ink, enlarged: pad.enlarged,
};
