// The other pictures of the report: the weights of a pixel, and the images behind a cell of the confusion matrix.

let at = {row: Math.floor(height / 2), column: Math.floor(width / 2)}; // the pixel whose weights are shown
const showWeights = (row, column) => {
  at = {row: Math.min(height - 1, Math.max(0, row)), column: Math.min(width - 1, Math.max(0, column))};
  ({row, column} = at);
  const weights = data.classes.map((name, k) => `${name} ${signed(model.weights[(row * width + column) * data.classes.length + k])}`);
  byId("weights-pixel").textContent = `Row ${row}, column ${column}: ${weights.join(", ")}`;
};
if (!map) {
  const pictures = document.querySelector(".weights");
  for (const name of ["pointermove", "pointerdown"]) pictures.addEventListener(name, event => { // down: a tap
    if (!event.target.matches("img")) return;
    const box = event.target.getBoundingClientRect();
    showWeights(Math.floor((event.clientY - box.top) / box.height * height), Math.floor((event.clientX - box.left) / box.width * width));
  });
  pictures.tabIndex = 0; // one stop for all of them: the text tells the weights of all classes
  pictures.addEventListener("keydown", event => {
    if (!MOVES[event.key] || event.altKey || event.ctrlKey || event.metaKey) return;
    const [x, y] = MOVES[event.key];
    showWeights(at.row + y, at.column + x);
    event.preventDefault();
  });
}

let greys = null; // the images of all cells, inflated when the first cell is opened
const openCell = async (label, predicted, count) => {
  const {rows, images} = data.cells;
  greys ??= inflated(images).then(bytes => greysOf(bytes, 0, rows.length * height * width));
  const pixels = await greys;
  const chosen = [...rows.keys()].filter(index => rows[index][0] === label && rows[index][1] === predicted);
  const few = chosen.length && chosen.length < count ? `${chosen.length} of ` : "";
  byId("cell-title").textContent = `${few}${count.toLocaleString("en")} ${count === 1 ? "image" : "images"} of ` +
    `${data.classes[label]} read as ${data.classes[predicted]}${chosen.length ? ", in four greys" : ": no room for them in this page"}`;
  byId("cell-images").replaceChildren(...chosen.map(index => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [width, height];
    const context = canvas.getContext("2d");
    const shown = context.createImageData(width, height);
    const [red, green, blue] = colour("--ink-rgb").split(" ").map(Number);
    for (let at = 0; at < height * width; at++) shown.data.set([red, green, blue, pixels[index * height * width + at]], 4 * at);
    context.putImageData(shown, 0, 0);
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `image ${rows[index][2]}`);
    canvas.title = `image ${rows[index][2]}`;
    const item = document.createElement("li");
    item.append(canvas);
    return item;
  }));
};
document.querySelectorAll("[data-cell]").forEach(button =>
  button.addEventListener("click", () => openCell(...button.dataset.cell.split("-").map(Number), Number(button.dataset.count))));
