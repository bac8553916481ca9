// A feature map: from the bytes of an image to the bytes of its features, with the same bits as in mnist_cli/maps.
// It does not use the page. All numbers are whole and below 2^53, so doubles are exact in any order of operations.

// Rounds halves up: "v rounded ≫ s" is rounded(v · 2^-s).
const rounded = value => Math.floor(value + 0.5);

const integersOf = ({shape, int32}) => {
  const bytes = Uint8Array.from(atob(int32), character => character.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  return {shape, at: Float64Array.from({length: bytes.length / 4}, (_, index) => view.getInt32(4 * index, true))};
};

// A map's document from mnist_cli/maps/portable.py, with its arrays decoded to {shape, at}, row after row.
const mapOf = document => {
  if (Array.isArray(document)) return document.map(mapOf);
  if (document === null || typeof document !== "object") return document;
  if ("int32" in document) return integersOf(document);
  return Object.fromEntries(Object.entries(document).map(([name, value]) => [name, mapOf(value)]));
};

// A plane is one grid of numbers, {height, width, at}. A state is a list of groups of planes: one group for each plane
// that the last convolution was applied to, with the planes that it gave.
const planeOf = (height, width, valueAt) => {
  const at = new Float64Array(height * width);
  for (let y = 0, index = 0; y < height; y++) for (let x = 0; x < width; x++) at[index++] = valueAt(y, x);
  return {height, width, at};
};
const eachPlane = (state, make) => state.map(group => group.map(make));
const inside = ({height, width, at}, y, x) => y >= 0 && y < height && x >= 0 && x < width ? at[y * width + x] : 0;
const valuesOf = ({height, width, at}, make) => ({height, width, at: at.map(make)});

// Mean over boxes of k × k pixels, with zeros beyond the edge.
const shrink = (plane, k) => planeOf(Math.ceil(plane.height / k), Math.ceil(plane.width / k), (row, column) => {
  let sum = 0;
  for (let y = 0; y < k; y++) for (let x = 0; x < k; x++) sum += inside(plane, row * k + y, column * k + x);
  return Math.floor((2 * sum + k * k) / (2 * k * k));
});

// Shear by cov(x, y) / var(y), and move the centre of mass to the middle.
const deskew = (plane, {position, shear}) => {
  const {height, width, at} = plane;
  let [mass, sumX, sumY, sumXY, sumYY] = [0, 0, 0, 0, 0];
  at.forEach((value, index) => {
    const [y, x] = [Math.floor(index / width), index % width];
    [mass, sumX, sumY] = [mass + value, sumX + value * x, sumY + value * y];
    [sumXY, sumYY] = [sumXY + value * x * y, sumYY + value * y * y];
  });
  mass = Math.max(mass, 1);
  const slant = (mass * sumXY - sumX * sumY) / Math.max(mass * sumYY - sumY * sumY, 1);
  const unit = 2 ** position;
  const [slope, centreY, centreX] = [slant * 2 ** shear, sumY / mass * unit, sumX / mass * unit].map(rounded);
  const clip = (value, side) => Math.min(Math.max(value, -unit), side * unit);
  return planeOf(height, width, (row, column) => {
    const y = clip(row * unit + centreY - (height - 1) / 2 * unit, height);
    const slide = rounded(slope * (2 * row - (height - 1)) / 2 ** (shear + 1 - position));
    const x = clip(centreX - (width - 1) / 2 * unit + slide + column * unit, width);
    const [top, left] = [y >> position, x >> position];
    const [lower, right] = [y - top * unit, x - left * unit];
    const mixed = each => inside(plane, top, each) * (unit - lower) + inside(plane, top + 1, each) * lower;
    return rounded((mixed(left) * (unit - right) + mixed(left + 1) * right) / unit / unit);
  });
};

// Cross-correlation with each kernel, with zeros around the plane; kernels are not flipped.
const convolved = ({height, width, at}, {kernels: {shape: [count, size], at: weights}, shift}) => {
  const across = width + size - 1;
  const padded = new Float64Array((height + size - 1) * across);
  const [radius, unit] = [(size - 1) / 2, 2 ** -shift];
  for (let y = 0; y < height; y++) padded.set(at.subarray(y * width, (y + 1) * width), (y + radius) * across + radius);
  return Array.from({length: count}, (_, kernel) => {
    const sums = new Float64Array(height * width);
    for (let i = 0; i < size; i++) for (let j = 0; j < size; j++) {
      const weight = weights[(kernel * size + i) * size + j];
      for (let y = 0, index = 0; y < height; y++) {
        for (let place = (y + i) * across + j, end = place + width; place < end;) sums[index++] += weight * padded[place++];
      }
    }
    return {height, width, at: sums.map(sum => rounded(sum * unit))};
  });
};

// rows · plane · columnsᵀ: sums over windows.
const pooled = ({height, width, at}, {rows, columns, shift}) => {
  const unit = 2 ** -shift;
  const across = planeOf(height, columns.shape[0], (y, window) => {
    let sum = 0;
    for (let x = 0; x < width; x++) sum += at[y * width + x] * columns.at[window * width + x];
    return sum;
  });
  return planeOf(rows.shape[0], across.width, (window, x) => {
    let sum = 0;
    for (let y = 0; y < height; y++) sum += rows.at[window * height + y] * across.at[y * across.width + x];
    return rounded(sum * unit);
  });
};

const OPERATIONS = {
  shrink: (state, {factor}) => eachPlane(state, plane => shrink(plane, factor)),
  deskew: (state, bits) => eachPlane(state, plane => deskew(plane, bits)),
  conv: (state, values) => state.flat().map(plane => convolved(plane, values)),
  relu2: state => state.map(group => [1, -1].flatMap(
    sign => group.map(plane => valuesOf(plane, value => Math.max(sign * value, 0))))),
  // √(re² + im²), rounded; the second half of a group is im.
  modulus: state => state.map(group => group.slice(0, group.length / 2).map((re, index) => {
    const im = group[group.length / 2 + index].at;
    return valuesOf(re, (value, place) => rounded(Math.sqrt(value * value + im[place] * im[place])));
  })),
  pool: (state, values) => eachPlane(state, plane => pooled(plane, values)),
};
const applied = (program, state) => program.reduce((values, {op, ...rest}) => op === "cat"
  ? [rest.programs.flatMap(inner => applied(inner, values).flat())]
  : OPERATIONS[op](values, rest), state);

const stateOf = ({shape: [height, width]}, bytes) => [[{height, width, at: Float64Array.from(bytes)}]];

// The image that the rest of the program sees: bytes [height · width], shrunk and deskewed to {height, width, at}.
const seenBy = (map, bytes) => {
  const rest = map.program.findIndex(({op}) => op !== "shrink" && op !== "deskew");
  return applied(map.program.slice(0, rest), stateOf(map, bytes))[0][0];
};

const bytesFrom = ({factors, offsets, shift}, values) => Uint8Array.from(values, (value, index) =>
  Math.min(Math.max(Math.floor((factors.at[index] * value + offsets.at[index]) * 2 ** -shift), 0), 255));

// Similarity of a row to each exemplar: whiten the row, scale it to length 2^11, and take the cosine above a tenth.
const nearness = ({projection, centre, shift, exemplars}, row, zero) => {
  const [directions, count] = exemplars.shape;
  const whitened = centre.at.map((middle, direction) => rounded(2 ** -shift * row.reduce(
    (sum, byte, index) => sum + (byte - zero) * projection.at[index * directions + direction], -middle)));
  const length = Math.sqrt(Math.max(whitened.reduce((sum, value) => sum + value * value, 0), 1));
  const unit = whitened.map(value => rounded(value * 2 ** 11 / length));
  return Float64Array.from({length: count}, (_, exemplar) => {
    const product = unit.reduce((sum, value, index) => sum + value * exemplars.at[index * count + exemplar], 0);
    return rounded(Math.max(product - 419430, 0) * 2 ** -10);
  });
};

// The features of an image, as a Uint8Array.
const featuresOf = (map, bytes) => {
  const row = bytesFrom(map.quantiser, applied(map.program, stateOf(map, bytes)).flat().flatMap(plane => [...plane.at]));
  if (!map.exemplars) return row;
  return Uint8Array.from([...row, ...bytesFrom(map.exemplars.quantiser, nearness(map.exemplars, row, map.zero))]);
};
