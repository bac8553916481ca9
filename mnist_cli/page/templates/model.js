// The softmax regression and the normalisation of a drawing, from numbers to numbers, without the page.

const bytesOf = text => Uint8Array.from(atob(text), character => character.charCodeAt(0));

// Little-endian int32 in units of 2^-24, on any machine.
const UNIT = 2 ** -24;
const floatsOf = text => {
  const view = new DataView(bytesOf(text).buffer);
  return Float64Array.from({length: view.byteLength / 4}, (_, index) => view.getInt32(4 * index, true) * UNIT);
};

// Inflate what Python has deflated.
const inflated = async text => {
  const stream = new Blob([bytesOf(text)]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
};

// Pixels in four greys, two bits each, from the byte `start` on; see page/packing.py.
const greysOf = (bytes, start, count) => Uint8Array.from({length: count}, (_, index) =>
  85 * ((bytes[start + (index >> 2)] >> (2 * (index & 3))) & 3));

// Round halves to even, as NumPy and Python do.
const round = value => {
  const below = Math.floor(value);
  const rest = value - below;
  return rest > 0.5 || (rest === 0.5 && below % 2) ? below + 1 : below;
};

// A row of bytes is the pixels of an image, or its features; x = (byte - zero) / step.
// Return x[i] · W[i, k] for each i. Their sum plus b[k] is the logit; W is stored row after row.
const evidence = ({weights, bias, zero = 0, step = 255}, row, k) =>
  Float64Array.from(row, (byte, index) => (byte - zero) / step * weights[index * bias.length + k]);

// In units of 2^-24 / step this is a sum of whole numbers, so it is exact, and the logits have the same bits as Python's.
const logits = ({weights, bias, zero = 0, step = 255}, row) => Array.from(bias, (offset, k) =>
  row.reduce((sum, byte, index) => sum + (byte - zero) * (weights[index * bias.length + k] / UNIT),
    step * (offset / UNIT)) * UNIT / step);

// Sum up the values of each cell of the image over all grids. A cell of a grid of another size is added where its
// middle lies. Exemplars, which come last, have no place.
const cellsOf = ({shape: [rows, columns], parts}, values) => {
  const cells = new Float64Array(rows * columns);
  let next = 0;
  for (const {maps, height, width} of parts.filter(({local}) => local)) {
    for (let index = 0; index < maps * height * width; index++) {
      const [y, x] = [Math.floor(index / width) % height, index % width];
      const row = Math.floor((2 * y + 1) * rows / (2 * height));
      cells[row * columns + Math.floor((2 * x + 1) * columns / (2 * width))] += values[next++];
    }
  }
  return cells;
};

// For each part, the sum over each of its grids.
const byMap = ({parts}, values) => {
  let next = 0;
  return parts.map(({maps, height, width}) => Array.from({length: maps}, () =>
    values.subarray(next, next += height * width).reduce((sum, value) => sum + value, 0)));
};

const softmax = values => {
  const highest = Math.max(...values);
  const powers = values.map(value => Math.exp(value - highest));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map(power => power / sum);
};

// Ink: grey in 0…1 with background 0, {height, width, at: Float32Array}.
const blank = (height, width) => ({height, width, at: new Float32Array(height * width)});

// Draw a line with a round pen of width `2 · radius`; its edge is anti-aliased over one pixel.
const stroke = (ink, [x0, y0], [x1, y1], radius) => {
  const reach = radius + 1;
  const [left, right] = [Math.min(x0, x1) - reach, Math.max(x0, x1) + reach];
  const [top, bottom] = [Math.min(y0, y1) - reach, Math.max(y0, y1) + reach];
  const [dx, dy] = [x1 - x0, y1 - y0];
  const length = dx * dx + dy * dy;
  for (let row = Math.max(0, Math.floor(top)); row < Math.min(ink.height, bottom); row++) {
    for (let column = Math.max(0, Math.floor(left)); column < Math.min(ink.width, right); column++) {
      const [x, y] = [column + 0.5 - x0, row + 0.5 - y0];
      const share = length ? Math.min(1, Math.max(0, (x * dx + y * dy) / length)) : 0;
      const covered = radius + 0.5 - Math.hypot(x - share * dx, y - share * dy);
      const index = row * ink.width + column;
      // In 255 levels, as in a saved picture, so that reading the picture gives the same ink.
      ink.at[index] = Math.max(ink.at[index], Math.round(255 * Math.min(1, Math.max(0, covered))) / 255);
    }
  }
};

const EDGE = 0.1; // fainter ink does not decide where a drawing begins
const BOX = 20 / 28; // share of the image's sides that MNIST gives to a digit

// The first row and column with ink, and those after the last; null if there is no ink.
const bounds = ink => {
  let [top, left, bottom, right] = [Infinity, Infinity, 0, 0];
  ink.at.forEach((value, index) => {
    if (value <= EDGE) return;
    const row = Math.floor(index / ink.width);
    const column = index % ink.width;
    [top, bottom] = [Math.min(top, row), Math.max(bottom, row + 1)];
    [left, right] = [Math.min(left, column), Math.max(right, column + 1)];
  });
  return bottom ? {top, left, bottom, right} : null;
};

// Resample part of the ink along its rows; each pixel becomes the mean of the area that it covers.
const averagedRows = (ink, first, length, size) => {
  const result = blank(size, ink.width);
  const step = length / size;
  for (let row = 0; row < size; row++) {
    const [start, end] = [row * step, (row + 1) * step];
    for (let old = Math.floor(start); old < Math.min(length, end); old++) {
      const share = Math.max(0, Math.min(end, old + 1) - Math.max(start, old)) / step;
      for (let column = 0; column < ink.width; column++) {
        result.at[row * ink.width + column] += share * ink.at[(first + old) * ink.width + column];
      }
    }
  }
  return result;
};

const turned = ink => {
  const result = blank(ink.width, ink.height);
  ink.at.forEach((value, index) => {
    result.at[(index % ink.width) * ink.height + Math.floor(index / ink.width)] = value;
  });
  return result;
};

// The row at which the drawing must begin for its centre of mass to be in the middle, without leaving the image.
const offset = (digit, side) => {
  let [mass, moment] = [0, 0];
  digit.at.forEach((value, index) => {
    mass += value;
    moment += value * Math.floor(index / digit.width);
  });
  return Math.min(Math.max(Math.floor(side / 2 - moment / mass + 0.5), 0), side - digit.height);
};

// Normalise a drawing as MNIST did: scale it into the box, put its centre of mass in the middle, and return bytes.
const normalise = (ink, height, width) => {
  const pixels = new Uint8Array(height * width);
  const edges = bounds(ink);
  if (!edges) return pixels;
  const [rows, columns] = [edges.bottom - edges.top, edges.right - edges.left];
  const [tallest, widest] = [height, width].map(side => Math.max(1, round(side * BOX)));
  const scale = Math.min(tallest / rows, widest / columns);
  const [newRows, newColumns] = [rows, columns].map(length => Math.max(1, round(length * scale)));
  const shorter = turned(averagedRows(ink, edges.top, rows, newRows));
  const across = averagedRows(shorter, edges.left, columns, newColumns);
  const digit = turned(across);
  const darkest = digit.at.reduce((highest, value) => Math.max(highest, value), 0);
  const [top, left] = [offset(digit, height), offset(across, width)];
  digit.at.forEach((value, index) => {
    const [row, column] = [Math.floor(index / newColumns), index % newColumns];
    pixels[(top + row) * width + left + column] = round(255 * value / darkest);
  });
  return pixels;
};
