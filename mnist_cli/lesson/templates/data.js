// Figures 1 and 2: an example and its numbers, and its label as cells.

const SHOWN = 30; // examples to choose from at once

const dataFigure = parts => {
  const [list, numbers, strip] = [byId("data-examples"), byId("data-numbers"), byId("data-strip")];
  let first = 0;
  const fill = () => {
    list.replaceChildren(...Array.from({length: Math.min(SHOWN, data.test)}, (_, place) => {
      const index = (first + place) % data.test;
      const [pixels, label] = [imageAt(parts.test, index), parts.test.labels[index]];
      const canvas = element("canvas", {className: "thumb", "aria-hidden": "true"});
      drawInk(canvas, pixels);
      const name = `unseen ${data.noun} ${index + 1}`;
      const button = element("button", {type: "button", "aria-label": `${data.classes[label]}, ${name}`}, canvas);
      button.addEventListener("click", () => take(pixels, label, name));
      return element("li", {}, button);
    }));
  };
  byId("data-more").addEventListener("click", () => {
    first = (first + SHOWN) % data.test;
    fill();
  });

  const text = value => value === 0 ? "0" : value === 255 ? "1" : (value / 255).toFixed(2).slice(1);
  const write = () => {
    const lines = Array.from({length: height}, (_, row) =>
      Array.from(hand.pixels.subarray(row * width, (row + 1) * width), value => text(value).padStart(3)).join(" "));
    numbers.textContent = lines.join("\n");
    byId("data-chosen").textContent = `${hand.name || "A drawing"}${hand.label === null ? "" : `, label ${data.classes[hand.label]}`}`;
  };

  // share 0: the image; 1: all its pixels in one row.
  const paint = share => {
    const cell = 8;
    const across = Math.max(pixelCount, width * cell);
    if (strip.width !== across) [strip.width, strip.height] = [across, height * cell];
    const context = strip.getContext("2d");
    context.clearRect(0, 0, strip.width, strip.height);
    const left = (across - width * cell) / 2;
    const ink = rgb("--ink-rgb").join(" ");
    hand.pixels.forEach((value, index) => {
      const [row, column] = [Math.floor(index / width), index % width];
      const here = Math.min(1, Math.max(0, 1.6 * share - 0.6 * row / height));
      const x = (1 - here) * (left + column * cell) + here * index * across / pixelCount;
      const y = (1 - here) * row * cell + here * (height * cell - 3 * cell);
      context.fillStyle = `rgb(${ink} / ${0.06 + 0.94 * value / 255})`;
      context.fillRect(x, y, (1 - here) * (cell - 1) + here * across / pixelCount, (1 - here) * (cell - 1) + here * 3 * cell);
    });
  };
  let [flat, goal, frame] = [0, 0, 0];
  const flatten = () => {
    goal = 1 - goal;
    cancelAnimationFrame(frame);
    const from = flat;
    let start = null;
    const move = now => {
      start ??= now;
      const share = isPlain.matches ? 1 : Math.min(1, (now - start) / 1200);
      flat = from + (goal - from) * share;
      paint(flat);
      if (share < 1) frame = requestAnimationFrame(move);
    };
    frame = requestAnimationFrame(move);
    byId("data-flatten").textContent = goal ? "Fold it back" : "Flatten it";
    byId("data-flat").textContent = goal
      ? `One row of ${pixelCount} numbers: the first ${width} are the top row of the image.` : "";
  };
  byId("data-flatten").addEventListener("click", flatten);
  onChange(() => {
    write();
    paint(flat);
  });
  onRepaint(() => {
    fill();
    paint(flat);
  });
  fill();
};

const oneHotFigure = () => {
  const list = byId("hot-cells");
  const cells = data.classes.map((name, k) => {
    const [value, input] = [element("b"), element("input", {type: "radio", name: "hot", className: "unseen"})];
    const cell = element("label", {}, input, element("span", {textContent: name}), value);
    input.addEventListener("change", () => take(hand.pixels, k, hand.name));
    list.append(cell);
    return {cell, input, value};
  });
  onChange(() => {
    cells.forEach(({cell, input, value}, k) => {
      const isOne = k === hand.label;
      [input.checked, input.disabled] = [isOne, hand.name !== ""];
      value.textContent = hand.label === null ? "?" : isOne ? "1" : "0";
      cell.classList.toggle("one", isOne);
    });
    byId("hot-text").textContent = hand.label === null ? "This drawing has no label: choose what it is meant to be."
      : `y′ of label ${data.classes[hand.label]}: ${classes} numbers, one of them 1, the others 0.` +
        (hand.name ? "" : " You chose it for your drawing.");
  });
};
