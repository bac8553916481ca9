// The training of `mnist train` in plain JavaScript, with the same bits: whole numbers in doubles, all sums below 2^53.
// docs/reproducibility.md has the arithmetic and its bounds.

const GRID = 2 ** 24; // W = V / 2^24
const PROBABILITY = 2 ** 20; // units of a probability and of a loss
const PIXEL = 255; // x = q / 255
const rounded = value => Math.floor(value + 0.5); // halves up

// From positions of a run to rows: in each epoch a keyed bijection of 0 … count−1, a Feistel network with cycle walking.
const orderOf = (seed, count) => {
  const mix = word => {
    word = (word ^ (word >>> 16)) >>> 0;
    word = Math.imul(word, 0x7feb352d) >>> 0;
    word = (word ^ (word >>> 15)) >>> 0;
    word = Math.imul(word, 0x846ca68b) >>> 0;
    return (word ^ (word >>> 16)) >>> 0;
  };
  const keysOf = epoch => {
    let state = 0;
    for (const word of [seed >>> 0, Math.floor(seed / 2 ** 32), epoch >>> 0, Math.floor(epoch / 2 ** 32)]) {
      state = mix((Math.imul(state, 31) + word + 0x9e3779b9) >>> 0);
    }
    return Array.from({length: 8}, (_, turn) => state = mix((state + Math.imul(turn + 1, 0x9e3779b9)) >>> 0));
  };
  let half = 1;
  while (4 ** half < count) half++;
  const mask = 2 ** half - 1;
  let [epoch, keys] = [-1, []];
  return position => {
    if (Math.floor(position / count) !== epoch) {
      epoch = Math.floor(position / count);
      keys = keysOf(epoch);
    }
    let value = position % count;
    do {
      let [left, right] = [value >>> half, value & mask];
      for (const key of keys) [left, right] = [right, (left ^ (mix((right + key) >>> 0) & mask)) >>> 0];
      value = ((left << half) | right) >>> 0;
    } while (value >= count);
    return value;
  };
};

// The softmax without exp and ln, by products of table entries, for one example at a time; `tables` is softmax.json.
const makeSoftmax = (tables, classes) => {
  const high = Float64Array.from({length: 65536}, (_, index) =>
    rounded(tables.A[index >> 8] * tables.B[index & 255] / GRID));
  const low = Float64Array.from(tables.C, value => value / GRID);
  const [powers, distances] = [new Float64Array(classes), new Float64Array(classes)];
  // scores: Z, logits in units of 2^-24 / 255. Fills `powers`, E, and `distances`, t; returns ΣE.
  const spread = scores => {
    let highest = -Infinity;
    for (let k = 0; k < classes; k++) if (scores[k] > highest) highest = scores[k];
    let sum = 0;
    for (let k = 0; k < classes; k++) {
      distances[k] = rounded((highest - scores[k]) / (16 * PIXEL));
      const t = Math.min(distances[k], GRID - 1);
      powers[k] = rounded(high[t >> 8] * low[t & 255]);
      sum += powers[k];
    }
    return sum;
  };
  // ln(sum · 2^-24), in units of 2^-20: the exponent and ten bits choose two entries, between which the rest interpolates.
  const logarithm = sum => {
    let exponent = 24;
    while (sum >= 2 ** (exponent + 1)) exponent++;
    const places = (sum - 2 ** exponent) / 2 ** (exponent - 10);
    const index = Math.floor(places);
    const lower = tables.ln[index];
    const exact = ((exponent - 24) * tables.ln[1024] + lower) * 2 ** 22 +
      (tables.ln[index + 1] - lower) * (places - index) * 2 ** 22;
    return Math.floor((exact + 2 ** 29) / 2 ** 30);
  };
  return {powers, distances, spread, logarithm};
};

// examples: inputs Uint8Array [n · D], labels Uint8Array [n]. Most pixels are 0; only the others are kept.
const inkOf = ({inputs, labels}) => {
  const pixels = inputs.length / labels.length;
  const starts = new Uint32Array(labels.length + 1);
  const [places, values] = [[], []];
  inputs.forEach((value, index) => {
    if (value) {
      places.push(index % pixels);
      values.push(value);
    }
    if ((index + 1) % pixels === 0) starts[(index + 1) / pixels] = places.length;
  });
  return {labels, starts, places: Uint16Array.from(places), values: Uint8Array.from(values)};
};

// Write Z of one example, its logits in units of 2^-24 / 255, into `scores`.
const score = (ink, row, V, b, scores) => {
  const classes = b.length;
  for (let k = 0; k < classes; k++) scores[k] = PIXEL * b[k];
  for (let at = ink.starts[row]; at < ink.starts[row + 1]; at++) {
    const [q, first] = [ink.values[at], ink.places[at] * classes];
    for (let k = 0; k < classes; k++) scores[k] += q * V[first + k];
  }
};

// A run from zeros. factors: the rates, rounded to 21 bits, by which a step multiplies the gradients of W and b.
const makeTrainer = ({ink, pixels, classes, tables, batch, seed, factors, largest}) => {
  const [V, b] = [new Float64Array(pixels * classes), new Float64Array(classes)];
  const [G, g] = [new Float64Array(pixels * classes), new Float64Array(classes)];
  const [scores, errors] = [new Float64Array(classes), new Float64Array(classes)];
  const softmax = makeSoftmax(tables, classes);
  const rowAt = orderOf(seed, ink.labels.length);
  const trainer = {V, b, steps: 0, isInRange: true};

  const add = row => { // add the gradient of one example; return its loss
    score(ink, row, V, b, scores);
    const [sum, label] = [softmax.spread(scores), ink.labels[row]];
    for (let k = 0; k < classes; k++) {
      errors[k] = rounded(softmax.powers[k] * PROBABILITY / sum) - (k === label ? PROBABILITY : 0);
      g[k] += errors[k];
    }
    for (let at = ink.starts[row]; at < ink.starts[row + 1]; at++) {
      const [q, first] = [ink.values[at], ink.places[at] * classes];
      for (let k = 0; k < classes; k++) G[first + k] += q * errors[k];
    }
    return softmax.distances[label] + softmax.logarithm(sum);
  };
  const move = (values, gradient, factor) => {
    for (let index = 0; index < values.length; index++) {
      values[index] -= rounded(rounded(gradient[index] / (batch / 16)) * factor);
      if (!(Math.abs(values[index]) < largest)) trainer.isInRange = false;
    }
    gradient.fill(0);
  };
  // Do one step; return the mean loss of its batch before the step.
  trainer.step = () => {
    let loss = 0;
    for (let place = 0; place < batch; place++) loss += add(rowAt(trainer.steps * batch + place));
    move(V, G, factors[0]);
    move(b, g, factors[1]);
    trainer.steps++;
    return loss / batch / PROBABILITY;
  };
  // Go back or forward to a remembered step.
  trainer.restore = (steps, values) => {
    V.set(values.subarray(0, V.length));
    b.set(values.subarray(V.length));
    [trainer.steps, trainer.isInRange] = [steps, true];
  };
  return trainer;
};

// SHA-256 (FIPS 180-4) of bytes, because a page served without TLS has no crypto.subtle.
const sha256 = bytes => {
  const primes = [];
  for (let number = 2; primes.length < 64; number++) if (primes.every(prime => number % prime)) primes.push(number);
  const fraction = value => Math.floor((value % 1) * 2 ** 32);
  const constants = primes.map(prime => fraction(Math.cbrt(prime)));
  const state = primes.slice(0, 8).map(prime => fraction(Math.sqrt(prime)));
  const padded = new Uint8Array(Math.ceil((bytes.length + 9) / 64) * 64);
  padded.set(bytes);
  padded[bytes.length] = 0x80;
  const view = new DataView(padded.buffer);
  view.setUint32(padded.length - 8, Math.floor(bytes.length / 2 ** 29));
  view.setUint32(padded.length - 4, (bytes.length * 8) >>> 0);
  const turn = (word, places) => (word >>> places) | (word << (32 - places));
  const words = new Int32Array(64);
  for (let start = 0; start < padded.length; start += 64) {
    for (let index = 0; index < 64; index++) {
      if (index < 16) {
        words[index] = view.getUint32(start + 4 * index);
        continue;
      }
      const [old, near] = [words[index - 15], words[index - 2]];
      words[index] = words[index - 16] + (turn(old, 7) ^ turn(old, 18) ^ (old >>> 3)) +
        words[index - 7] + (turn(near, 17) ^ turn(near, 19) ^ (near >>> 10));
    }
    let [a, b, c, d, e, f, g, h] = state;
    for (let index = 0; index < 64; index++) {
      const first = h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) + constants[index] + words[index];
      const second = (turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
      [h, g, f, e, d, c, b, a] = [g, f, e, (d + first) | 0, c, b, a, (first + second) | 0];
    }
    [a, b, c, d, e, f, g, h].forEach((word, index) => state[index] = (state[index] + word) | 0);
  }
  return state.map(word => (word >>> 0).toString(16).padStart(8, "0")).join("");
};

// The digest that `mnist run` prints for the model: SHA-256 of W, then b, as little-endian float64, with −0 made 0.
const digestOf = (V, b) => {
  const view = new DataView(new ArrayBuffer(8 * (V.length + b.length)));
  [V, b].reduce((at, values) => {
    values.forEach((value, index) => view.setFloat64(at + 8 * index, value / GRID + 0, true));
    return at + 8 * values.length;
  }, 0);
  return sha256(new Uint8Array(view.buffer));
};
