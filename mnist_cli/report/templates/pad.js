// The drawing pad: what is drawn or loaded, and what the model makes of it.

const data = JSON.parse(byId("pad-data").textContent);
const shape = data.shape;
const [height, width] = shape;
const model = {weights: floatsOf(data.weights), bias: floatsOf(data.bias)};
const TALLEST = 420; // of a canvas on the page, in CSS pixels

const drawing = byId("pad-drawing");
const seen = byId("pad-seen");
const rows = [...document.querySelectorAll("[data-class]")];
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
  const values = logits(model, pixels);
  const probabilities = softmax(values);
  const predicted = values.indexOf(Math.max(...values));
  return {pixels, logits: values, probabilities, predicted, empty: !pixels.some(Boolean)};
};

// On one scale for all classes of an image, so that they can be compared.
const strongestEvidence = pixels => Math.max(1e-9, ...[...model.bias.keys()].map(other =>
  evidence(model, pixels, other).reduce((highest, value) => Math.max(highest, Math.abs(value)), 0)));

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
  byId("pad-loaded").textContent = pad.image() === undefined ? "" : nameOf(pad.image());
  byId("pad-says").textContent = state.empty
    ? "nothing yet" : `${data.classes[state.predicted]}, ${percent(state.probabilities[state.predicted])}`;
  byId("pad-follow").checked = chosen === null;
  byId("pad-undo").disabled = !pad.canUndo();
  byId("pad-clear").disabled = state.empty;
};

const show = () => {
  const state = examine();
  const k = chosen ?? state.predicted;
  const parts = evidence(model, state.pixels, k);
  paintEvidence(seen, shape, state.pixels, parts, strongestEvidence(state.pixels));
  write(state, k, parts);
  return state;
};

// Screen readers hear a result when something is finished, not at every movement.
const announce = text => {
  const state = show();
  const result = state.empty ? "The pad is empty." : `The model says ${data.classes[state.predicted]}, ` +
    `${percent(state.probabilities[state.predicted])}.`;
  byId("pad-status").textContent = text ? `${text} ${result}` : result;
};

const loadImage = index => pad.show(bytesOf(data.images[index].pixels), index, `${nameOf(index)}.`);

byId("pad-undo").addEventListener("click", pad.undo);
byId("pad-clear").addEventListener("click", pad.clear);
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

// For the console: the same functions that the page uses.
window.mnistReport = {data, model, examine, evidence, normalise, logits, softmax, loadImage, ink: pad.ink, enlarged: pad.enlarged};
