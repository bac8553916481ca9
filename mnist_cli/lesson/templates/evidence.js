// Figure 3: the pad, the pictures of W, and each pixel's evidence for a class, or for one class against another.

const pads = [];
let isSyncing = false; // while an image is copied from one pad to the others

// A pad whose drawing becomes the current image of all figures.
const lessonPad = (name, status) => {
  const pad = makePad(byId(`${name}-pad`), shape, {
    changed: () => isSyncing || takeFrom(pad),
    finished: text => {
      if (isSyncing) return;
      takeFrom(pad);
      byId(`${name}-status`).textContent = `${text} ${status()}`.trim();
    },
  });
  pads.push(pad);
  byId(`${name}-clear`).addEventListener("click", pad.clear);
  byId(`${name}-undo`).addEventListener("click", pad.undo);
  onRepaint(pad.paint);
  return pad;
};

const takeFrom = pad => {
  const image = pad.image();
  const pixels = pad.pixels();
  // One more stroke does not make another drawing: it keeps its label.
  const isSame = hand.name === "" && hand.drawnOn === pad && pixels.some(Boolean);
  Object.assign(hand, {source: pad, drawnOn: pad});
  take(pixels, image ? image.label : isSame ? hand.label : null, image ? image.name : "");
  hand.source = null;
};

const syncPads = () => {
  isSyncing = true;
  pads.filter(pad => pad !== hand.source && pad.pixels().some((value, index) => value !== hand.pixels[index]))
    .forEach(pad => pad.show(hand.pixels, {label: hand.label, name: hand.name}, ""));
  isSyncing = false;
};

// Sums over pixels in units of 2^-24 / 255, which are whole numbers and therefore exact.
const exactParts = (model, pixels, k, other) => {
  const weight = index => model.weights[index * classes + k] - (other === null ? 0 : model.weights[index * classes + other]);
  const parts = Float64Array.from(pixels, (q, index) => q * (weight(index) / UNIT));
  const sum = keep => parts.reduce((total, value) => total + (keep(value) ? value : 0), 0);
  const bias = PIXEL * ((model.bias[k] - (other === null ? 0 : model.bias[other])) / UNIT);
  const [inFavour, against] = [sum(value => value > 0), sum(value => value < 0)];
  return {parts, inFavour, against, bias, total: inFavour + against + bias};
};

// Round values to four places so that they still add up: the largest one takes the rounding error.
const addingUp = (values, total) => {
  const places = value => Math.round(value * 1e4);
  const shown = values.map(places);
  const largest = values.reduce((best, value, index) => Math.abs(value) > Math.abs(values[best]) ? index : best, 0);
  shown[largest] += places(total) - shown.reduce((sum, value) => sum + value, 0);
  return [...shown, places(total)].map(value => value / 1e4);
};

// Buttons with a picture for each class; draw(canvas, k) paints one.
const classPictures = (list, onChoice, isButton = true) => classIndices.map(k => {
  const canvas = element("canvas", {"aria-hidden": "true"});
  const label = element("span", {textContent: data.classes[k]});
  const item = isButton ? element("button", {type: "button", "aria-pressed": "false"}, canvas, label) : element("div", {}, canvas, label);
  if (isButton) item.addEventListener("click", () => onChoice(k));
  list.append(element("li", {}, item));
  return {canvas, item, label};
});

const evidenceFigure = model => {
  const values = () => logits(model, hand.pixels);
  const said = () => {
    const all = values();
    const first = highestOf(all);
    return hand.pixels.some(Boolean) ? `The model says ${data.classes[first]}, ${percent(probabilitiesOf(all)[first])}.` : "The pad is empty.";
  };
  lessonPad("evidence", said);
  const against = byId("evidence-against");
  let chosen = null; // null: the predicted class
  const pictures = classPictures(byId("evidence-weights"), k => {
    chosen = chosen === k ? null : k;
    show();
  });
  against.append(...data.classes.map((name, k) => element("option", {value: k, textContent: name})));
  const answers = barRows(byId("evidence-answers"), data.classes);
  const limit = model.weights.reduce((highest, value) => Math.max(highest, Math.abs(value)), 0);
  const paintWeights = () => pictures.forEach(({canvas}, k) =>
    drawSigned(canvas, index => model.weights[index * classes + k], limit));
  let state = null;

  const show = () => {
    const all = values();
    const k = chosen ?? highestOf(all);
    const other = against.value === "" || Number(against.value) === k ? null : Number(against.value);
    state = {k, other, ...exactParts(model, hand.pixels, k, other)};
    const strongest = Math.max(1, ...state.parts.map(Math.abs));
    paintEvidence(byId("evidence-seen"), shape, hand.pixels, state.parts, strongest);
    pictures.forEach(({item}, index) => item.setAttribute("aria-pressed", index === k));
    const shares = probabilitiesOf(all);
    answers.forEach((answer, index) => answer.show(shares[index], index === highestOf(all)));
    const {row} = answers[highestOf(all)];
    keepInView(row.parentElement.parentElement, row);
    const name = other === null ? data.classes[k] : `${data.classes[k]} against ${data.classes[other]}`;
    byId("evidence-class").textContent = name;
    const unit = UNIT / PIXEL;
    const shown = addingUp([state.inFavour, state.against, state.bias].map(value => value * unit), state.total * unit);
    ["for", "minus", "bias", "logit"].forEach((part, index) => byId(`evidence-${part}`).textContent = signed(shown[index], 4));
    byId("evidence-total-name").textContent = other === null ? "logit" : "difference of the logits";
    byId("evidence-exact").textContent = `In whole numbers, in units of 1 / (255 · 2²⁴): ${grouped(state.inFavour)} ` +
      `− ${grouped(-state.against)} ${state.bias < 0 ? "−" : "+"} ${grouped(Math.abs(state.bias))} = ${grouped(state.total)}.`;
  };
  byId("evidence-seen").addEventListener("pointermove", event => {
    const box = event.target.getBoundingClientRect();
    const [column, row] = [(event.clientX - box.left) / box.width * width, (event.clientY - box.top) / box.height * height]
      .map((value, axis) => Math.min([width, height][axis] - 1, Math.max(0, Math.floor(value))));
    const index = row * width + column;
    const weight = model.weights[index * classes + state.k] - (state.other === null ? 0 : model.weights[index * classes + state.other]);
    byId("evidence-pixel").textContent = `Row ${row}, column ${column}: ink ${(hand.pixels[index] / PIXEL).toFixed(2)} × ` +
      `weight ${signed(weight, 3)} = ${signed(hand.pixels[index] / PIXEL * weight, 3)}.`;
  });
  against.addEventListener("change", show);
  onChange(show);
  onRepaint(() => {
    paintWeights();
    show();
  });
  paintWeights();
  return {model, values};
};
