// What the figures share: the examples in the page, the current image, and helpers for drawing.

const data = JSON.parse(byId("lesson-data").textContent);
const shape = data.shape;
const [height, width] = shape;
const pixelCount = height * width;
const classes = data.classes.length;
const classIndices = [...data.classes.keys()];
const isPlain = matchMedia("(prefers-reduced-motion: reduce)");

// 0.9201 as "92.01 %".
const percent = (share, digits = 1) => `${(100 * share).toFixed(digits)}\u00a0%`;
const signed = (value, digits = 2) => {
  const size = Math.abs(value).toFixed(digits);
  return Number(size) === 0 ? size : `${value < 0 ? "−" : "+"}${size}`;
};
const grouped = value => value.toLocaleString("en-US").replace("-", "−");

// element("button", {type: "button", textContent: "Go"}, child, …); names with a hyphen are attributes.
const element = (tag, properties = {}, ...children) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-")) made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children);
  return made;
};

// Labels, then pixels; see lesson/examples.py.
const unpack = async () => {
  const bytes = await inflated(data.examples);
  const count = data.train + data.test;
  const inputs = greysOf(bytes, count, count * pixelCount);
  const part = (from, to) => ({inputs: inputs.subarray(from * pixelCount, to * pixelCount), labels: bytes.subarray(from, to)});
  return {train: part(0, data.train), test: part(data.train, count)};
};

const imageAt = (part, index) => part.inputs.subarray(index * pixelCount, (index + 1) * pixelCount);

// Colours of the page as numbers, cached because every frame uses them; they change only between light and dark.
let palette = {};
const rgb = name => palette[name] ??= (text => text.startsWith("#")
  ? [1, 3, 5].map(at => parseInt(text.slice(at, at + 2), 16)) : text.split(" ").map(Number))(colour(name));

// Paint a canvas with one pixel for each pixel of the image; write(data, at, index) sets the four bytes of a pixel.
const paintPixels = (canvas, write) => {
  if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d");
  const shown = context.createImageData(width, height);
  for (let index = 0; index < pixelCount; index++) write(shown.data, 4 * index, index);
  context.putImageData(shown, 0, 0);
};

// Draw bytes as ink on a transparent background.
const drawInk = (canvas, pixels) => {
  const [red, green, blue] = rgb("--ink-rgb");
  paintPixels(canvas, (bytes, at, index) => {
    [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]] = [red, green, blue, pixels[index]];
  });
};

// Draw signed numbers: red below 0, blue above, the stronger the nearer to `limit`.
const drawSigned = (canvas, valueAt, limit) => {
  const [against, inFavour, scale] = [rgb("--against"), rgb("--for"), limit ? 255 / limit : 0];
  paintPixels(canvas, (bytes, at, index) => {
    const value = valueAt(index);
    const ink = value < 0 ? against : inFavour;
    bytes[at] = ink[0];
    bytes[at + 1] = ink[1];
    bytes[at + 2] = ink[2];
    bytes[at + 3] = Math.min(255, Math.round(scale * Math.abs(value)));
  });
};

// The current image, which every figure shows: one of the examples, or drawn. label: null if unknown.
const hand = {pixels: new Uint8Array(pixelCount), label: null, name: ""};
const followers = [];
const take = (pixels, label, name) => {
  Object.assign(hand, {pixels: Uint8Array.from(pixels), label, name});
  followers.forEach(follow => follow());
};
// A film changes these texts in every frame; they are read out only once it has stopped.
const hush = isRunning => document.querySelectorAll("#training-verdict, #gradient-text, #accuracy-text").forEach(text =>
  isRunning ? text.setAttribute("aria-live", "off") : text.removeAttribute("aria-live"));
const repaints = []; // called when the colours change: light, dark, print
const onChange = work => followers.push(work);
const onRepaint = work => repaints.push(work);
const repaint = () => {
  palette = {};
  repaints.forEach(work => work());
};
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
// Paper is white. A canvas keeps its colours, so it is painted again, in those of the class.
for (const [event, isPrinting] of [["beforeprint", true], ["afterprint", false]]) {
  addEventListener(event, () => {
    document.documentElement.classList.toggle("printing", isPrinting);
    repaint();
  });
}

// A row for each class with a bar, its share, and the elements that `extra` adds.
const barRows = (list, names, extra = () => []) => names.map(name => {
  const [bar, share] = [element("span"), element("span", {className: "share"})];
  const row = element("li", {className: "row"}, element("span", {className: "name", textContent: name}), ...extra(name),
    element("span", {className: "track"}, bar), share);
  list.append(row);
  return {row, show: (value, isFirst) => {
    bar.style.transform = `scaleX(${Math.min(1, Math.max(0, value))})`;
    share.textContent = Number.isNaN(value) ? "NaN" : percent(value);
    row.classList.toggle("predicted", isFirst);
  }};
});

const probabilitiesOf = values => softmax(Array.from(values));
const highestOf = values => values.indexOf(Math.max(...values));
