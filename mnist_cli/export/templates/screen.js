// The screen: draw with a finger, a pen or a mouse, and see the prediction.

const byId = id => document.getElementById(id);
const [height, width] = data.shape;
const FINE = Math.max(2, Math.round(280 / Math.max(height, width))); // pixels of the pad for each pixel of the image
const RADIUS = FINE * Math.max(0.6, 1.2 / 28 * Math.min(height, width)); // of the pen, as wide as MNIST's strokes
const MOST = 5; // classes with a bar

const pad = byId("pad");
[pad.width, pad.height] = [width * FINE, height * FINE];
let ink = blank(pad.height, pad.width);
let strokes = [];
let pointer = null;
let pending = 0;

const percent = share => `${(100 * share).toFixed(1)} %`;

const paint = () => {
  const context = pad.getContext("2d");
  const image = context.createImageData(pad.width, pad.height);
  const [red, green, blue] = getComputedStyle(document.documentElement).getPropertyValue("--ink").split(" ").map(Number);
  ink.at.forEach((value, index) => image.data.set([red, green, blue, Math.round(255 * value)], 4 * index));
  context.putImageData(image, 0, 0);
};

const show = () => {
  pending = 0;
  paint();
  const empty = !ink.at.some(Boolean);
  byId("clear").disabled = byId("undo").disabled = empty;
  byId("bars").replaceChildren();
  if (empty) {
    [byId("label").textContent, byId("sure").textContent] = ["", "Draw here"];
    return;
  }
  const {label, probabilities} = answer(normalise(ink, height, width));
  [byId("label").textContent, byId("sure").textContent] = [data.classes[label], percent(probabilities[label])];
  const order = [...probabilities.keys()].sort((one, other) => probabilities[other] - probabilities[one]);
  byId("bars").append(...order.slice(0, MOST).map(index => {
    const [row, name, bar, share] = ["li", "span", "progress", "span"].map(tag => document.createElement(tag));
    [name.textContent, bar.value, share.textContent] = [data.classes[index], probabilities[index], percent(probabilities[index])];
    bar.setAttribute("aria-label", data.classes[index]);
    row.append(name, bar, share);
    return row;
  }));
};
const showSoon = () => {
  pending ||= requestAnimationFrame(show);
};

const extend = (points, point) => {
  stroke(ink, points.at(-1) ?? point, point, RADIUS);
  points.push(point);
};
const place = event => {
  const box = pad.getBoundingClientRect();
  return [(event.clientX - box.left) * pad.width / box.width, (event.clientY - box.top) * pad.height / box.height];
};

pad.addEventListener("pointerdown", event => {
  if (pointer !== null || event.button) return;
  pad.setPointerCapture(event.pointerId);
  pointer = event.pointerId;
  strokes.push([]);
  extend(strokes.at(-1), place(event));
  showSoon();
});
pad.addEventListener("pointermove", event => {
  if (event.pointerId !== pointer) return;
  const moves = event.getCoalescedEvents?.() ?? [];
  (moves.length ? moves : [event]).forEach(move => extend(strokes.at(-1), place(move)));
  showSoon();
});
for (const name of ["pointerup", "pointercancel"]) pad.addEventListener(name, event => {
  if (event.pointerId === pointer) pointer = null;
});

const replay = kept => {
  strokes = kept;
  ink = blank(pad.height, pad.width);
  strokes.forEach(points => points.forEach((point, index) => stroke(ink, points[Math.max(0, index - 1)], point, RADIUS)));
  show();
};
byId("clear").addEventListener("click", () => replay([]));
byId("undo").addEventListener("click", () => replay(strokes.slice(0, -1)));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
byId("facts").append(...Object.entries(data.about).flatMap(([name, value]) => {
  const [term, text] = ["dt", "dd"].map(tag => document.createElement(tag));
  [term.textContent, text.textContent] = [name, value];
  return [term, text];
}));

// From a server the page can be installed and then works offline; a plain file needs neither.
if (location.protocol.startsWith("http")) {
  const link = document.createElement("link");
  [link.rel, link.href] = ["manifest", "mnist.webmanifest"];
  document.head.append(link);
  navigator.serviceWorker?.register("mnist-worker.js").catch(() => {}); // the page also works without this file
}
show();
window.mnistModel = {about: data.about, answer, answers};
