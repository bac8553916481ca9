// A canvas to draw on with a mouse, a pen, a finger or keys. It deals with images only, not with models.

const byId = id => document.getElementById(id);
const colour = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// If a box scrolls, centre one of its rows, unless the user is choosing or scrolling in it.
const keepInView = (box, row) => {
  const [at, seen] = [row.getBoundingClientRect(), box.getBoundingClientRect()];
  if (box.contains(document.activeElement) || (at.top >= seen.top && at.bottom <= seen.bottom)) return;
  box.scrollTop += at.top - seen.top - (seen.height - at.height) / 2;
};

const MOVES = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};
const SMALL = 0.5; // share of the pad; below it the stroke is drawn again, larger, with the same pen

// canvas: the element; its size and its event listeners are set here.
// [height, width]: size of the image that a drawing becomes.
// listener: changed() at every movement; finished(text) after every action, with a text for screen readers.
const makePad = (canvas, [height, width], listener) => {
  const fine = Math.max(2, Math.round(280 / Math.max(height, width))); // pixels of the pad for each pixel of the image
  // Radius of the pen: MNIST's strokes are two to three of 28 pixels wide.
  const radius = fine * Math.max(0.6, 1.2 / 28 * Math.min(height, width));
  const step = fine * Math.max(1, Math.round(Math.max(height, width) / 28)); // of the arrow keys
  // All actions in order; the pad shows the last image, clearing or fresh stroke and everything after it.
  let actions = [];
  let ink = blank(height * fine, width * fine);
  let image = null; // the loaded bytes, which are not normalised
  let found = null; // the cached image of what the pad shows
  let cursor = {x: ink.width / 2, y: ink.height / 2, down: false, visible: false};
  let drawn = null; // the stroke that a pointer is drawing
  let penned = null; // the stroke that the keys are drawing
  let pending = 0; // the requested animation frame that will show a movement

  const isStart = action => action.kind !== "stroke" || action.fresh;
  const visible = () => actions.slice(Math.max(0, actions.findLastIndex(isStart)));

  const load = bytes => {
    ink.at.forEach((_, index) => {
      const [row, column] = [Math.floor(index / ink.width / fine), Math.floor((index % ink.width) / fine)];
      ink.at[index] = bytes[row * width + column] / 255;
    });
    image = bytes;
  };

  const line = (target, points) =>
    points.forEach((point, index) => stroke(target, points[Math.max(0, index - 1)], point, radius));

  const perform = action => {
    found = null;
    if (isStart(action)) {
      ink.at.fill(0);
      image = null;
    }
    if (action.kind === "image") load(action.bytes);
    if (action.kind === "stroke") line(ink, action.points);
  };

  // Scaling a small drawing up would make its strokes thick, so its points are scaled instead, and the pen is not.
  const enlarged = () => {
    const strokes = visible().filter(action => action.kind === "stroke");
    const points = strokes.flatMap(action => action.points);
    if (image || !points.length) return ink;
    const sides = [ink.width, ink.height].map((side, axis) => {
      const [low, high] = points.reduce(
        ([low, high], point) => [Math.min(low, point[axis]), Math.max(high, point[axis])], [Infinity, -Infinity]);
      return {side, middle: (low + high) / 2, length: high - low};
    });
    const isSmall = sides.every(({side, length}) => length < SMALL * side);
    if (!isSmall || sides.every(({length}) => length < 2 * radius)) return ink;
    const scale = Math.min(...sides.map(({side, length}) => (BOX * side - 2 * radius) / length));
    const larger = blank(ink.height, ink.width);
    strokes.forEach(action => line(larger, action.points.map(
      point => point.map((value, axis) => (value - sides[axis].middle) * scale + sides[axis].side / 2))));
    return larger;
  };

  const pixels = () => found ??= image ?? normalise(enlarged(), height, width);
  const isEmpty = () => !ink.at.some(Boolean);

  const paint = () => {
    const context = canvas.getContext("2d");
    const [red, green, blue] = colour("--ink-rgb").split(" ").map(Number);
    const shown = context.createImageData(ink.width, ink.height);
    for (let index = 0; index < ink.at.length; index++) { // runs in every frame, so no array for each pixel
      const at = 4 * index;
      shown.data[at] = red;
      shown.data[at + 1] = green;
      shown.data[at + 2] = blue;
      shown.data[at + 3] = Math.round(255 * ink.at[index]);
    }
    context.putImageData(shown, 0, 0);
    if (isEmpty() && canvas.dataset.hint) {
      [context.fillStyle, context.textAlign] = [colour("--muted"), "center"];
      context.font = `${Math.round(ink.width / 15)}px system-ui, sans-serif`;
      context.fillText(canvas.dataset.hint, ink.width / 2, ink.height / 2);
    }
    if (!cursor.visible) return;
    // A ring shows a lifted pen; a ring around a dot, a pen that draws.
    [context.strokeStyle, context.fillStyle] = [colour("--accent"), colour("--accent")];
    context.lineWidth = Math.max(1.5, fine / 5);
    context.beginPath();
    context.arc(cursor.x, cursor.y, 1.3 * radius, 0, 2 * Math.PI);
    context.stroke();
    if (!cursor.down) return;
    context.beginPath();
    context.arc(cursor.x, cursor.y, 0.6 * radius, 0, 2 * Math.PI);
    context.fill();
  };

  const changed = () => {
    paint();
    listener.changed();
  };
  const finished = text => {
    paint();
    listener.finished(text);
  };
  const lift = () => {
    cursor.down = false;
    penned = null;
  };

  const act = (action, text) => {
    lift();
    actions.push(action);
    perform(action);
    finished(text);
  };
  const undo = () => {
    lift();
    if (!actions.length) return;
    actions.pop();
    perform({kind: "clear"});
    visible().forEach(perform);
    finished("Undone.");
  };
  const clear = () => {
    lift();
    if (!isEmpty()) act({kind: "clear"}, "");
  };
  const show = (bytes, about, text) => act({kind: "image", bytes, about}, text);

  // The first stroke on an image starts a new drawing.
  const begin = point => {
    const action = {kind: "stroke", fresh: actions.at(-1)?.kind === "image", points: [point]};
    actions.push(action);
    perform(action);
    return action;
  };
  const extend = (action, point) => {
    stroke(ink, action.points.at(-1), point, radius);
    action.points.push(point);
    found = null;
  };

  // Pointer events cover mouse, pen and finger.
  const place = event => {
    const box = canvas.getBoundingClientRect();
    return [(event.clientX - box.left) * ink.width / box.width, (event.clientY - box.top) * ink.height / box.height];
  };
  const showSoon = () => {
    pending ||= requestAnimationFrame(() => {
      pending = 0;
      changed();
    });
  };
  canvas.addEventListener("pointerdown", event => {
    if (drawn || event.button) return;
    canvas.setPointerCapture(event.pointerId);
    lift();
    cursor.visible = false;
    drawn = {pointer: event.pointerId, action: begin(place(event))};
    showSoon();
  });
  canvas.addEventListener("pointermove", event => {
    if (drawn?.pointer !== event.pointerId) return;
    const moves = event.getCoalescedEvents?.() ?? [];
    (moves.length ? moves : [event]).forEach(move => extend(drawn.action, place(move)));
    showSoon();
  });
  for (const name of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(name, event => {
      if (drawn?.pointer !== event.pointerId) return;
      drawn = null;
      finished("");
    });
  }

  // Keys: arrows move the pen, space puts it down or lifts it.
  const penDown = down => {
    cursor.down = down;
    penned = down ? begin([cursor.x, cursor.y]) : null;
    finished(down ? "Pen down." : "Pen up.");
  };
  const movePen = ([x, y], far) => {
    const length = far ? 4 * step : step;
    cursor.x = Math.min(ink.width, Math.max(0, cursor.x + x * length));
    cursor.y = Math.min(ink.height, Math.max(0, cursor.y + y * length));
    if (penned) extend(penned, [cursor.x, cursor.y]);
    changed();
  };
  canvas.addEventListener("keydown", event => {
    const command = event.ctrlKey || event.metaKey;
    if (event.altKey || (command && event.key !== "z")) return;
    cursor.visible = true;
    if (MOVES[event.key]) movePen(MOVES[event.key], event.shiftKey);
    else if (event.key === " ") event.repeat || penDown(!cursor.down);
    else if (event.key === "z" && command) undo();
    else if (event.key === "Delete" || event.key === "Backspace") clear();
    else return;
    event.preventDefault();
  });
  canvas.addEventListener("focus", () => {
    cursor.visible = canvas.matches(":focus-visible");
    paint();
  });
  canvas.addEventListener("blur", () => {
    cursor.visible = false;
    lift();
    paint();
  });

  // The drawing in black on white; a program that normalises it gets the same image.
  const picture = () => {
    const paper = document.createElement("canvas");
    [paper.width, paper.height] = [ink.width, ink.height];
    const context = paper.getContext("2d");
    const shown = context.createImageData(ink.width, ink.height);
    enlarged().at.forEach((value, index) => {
      const grey = 255 - Math.round(255 * value);
      shown.data.set([grey, grey, grey, 255], 4 * index);
    });
    context.putImageData(shown, 0, 0);
    return paper;
  };

  [canvas.width, canvas.height] = [ink.width, ink.height];
  return {
    picture, pixels, isEmpty, paint, clear, undo, show,
    ink: () => ink,
    enlarged, // the ink that is normalised to the image
    image: () => visible()[0]?.about, // the `about` that `show` was called with for the image on the pad
    canUndo: () => actions.length > 0,
  };
};

// Paint an image's evidence: a colour and a sign in each cell, the stronger the nearer its value is to `strongest`.
// Cells are pixels, or the [rows, columns] larger cells of a feature map, over which the ink stays visible.
const paintEvidence = (canvas, [height, width], pixels, cells, strongest, [rows, columns] = [height, width]) => {
  const pixel = Math.max(2, Math.round(448 / Math.max(height, width))); // pixels of the canvas for each of the image
  const [across, down] = [pixel * width, pixel * height];
  if (canvas.width !== across || canvas.height !== down) [canvas.width, canvas.height] = [across, down];
  const context = canvas.getContext("2d");
  const [paper, against, inFavour, muted] = ["--paper", "--against", "--for", "--muted"].map(colour);
  const fill = (style, alpha, ...box) => {
    [context.fillStyle, context.globalAlpha] = [style, alpha];
    context.fillRect(...box);
  };
  const ink = alpha => pixels.forEach((value, index) => value && fill(
    muted, alpha * value / 255, pixel * (index % width), pixel * Math.floor(index / width), pixel, pixel));
  const [cellWidth, cellHeight] = [across / columns, down / rows];
  const cell = Math.min(cellWidth, cellHeight);
  const long = Math.round(0.5 * Math.min(cell, 24)); // length of a sign
  const thin = Math.max(1, Math.round(long / 4.5));
  const isCoarse = rows !== height || columns !== width;
  context.clearRect(0, 0, across, down);
  if (!isCoarse) ink(0.22);
  cells.forEach((value, index) => {
    const [x, y] = [index % columns * cellWidth, Math.floor(index / columns) * cellHeight];
    const share = Math.min(1, Math.abs(value) / strongest);
    fill(value < 0 ? against : inFavour, share ** 0.6, x, y, cellWidth, cellHeight);
    if (share < 0.08 || cell < 8) return;
    fill(paper, 0.9, x + (cellWidth - long) / 2, y + (cellHeight - thin) / 2, long, thin);
    if (value > 0) fill(paper, 0.9, x + (cellWidth - thin) / 2, y + (cellHeight - long) / 2, thin, long);
  });
  if (isCoarse) ink(0.7);
  context.globalAlpha = 1;
};
