// The exact training once more, in plain JavaScript: node exact.js INPUTS LABELS D K STEPS BATCH SEED RATE
// RATE is a number; INPUTS and LABELS are files of bytes. Prints the digest of the model.
const {readFileSync} = require("fs");
const {createHash} = require("crypto");

const [inputsName, labelsName, ...numbers] = process.argv.slice(2);
const [D, K, STEPS, BATCH, SEED, RATE] = numbers.map(Number);
const [inputs, labels] = [readFileSync(inputsName), readFileSync(labelsName)];
const n = labels.length;

const mix = word => {
  word = (word ^ (word >>> 16)) >>> 0;
  word = Math.imul(word, 0x7feb352d) >>> 0;
  word = (word ^ (word >>> 15)) >>> 0;
  word = Math.imul(word, 0x846ca68b) >>> 0;
  return (word ^ (word >>> 16)) >>> 0;
};
const keysOf = epoch => {
  let state = 0;
  for (const word of [SEED >>> 0, Math.floor(SEED / 2 ** 32), epoch >>> 0, Math.floor(epoch / 2 ** 32)]) {
    state = mix((Math.imul(state, 31) + word + 0x9e3779b9) >>> 0);
  }
  return Array.from({length: 8}, (_, index) => state = mix((state + Math.imul(index + 1, 0x9e3779b9)) >>> 0));
};
let half = 1;
while (4 ** half < n) half++;
const mask = 2 ** half - 1;
const known = new Map();
const rowAt = position => {
  const epoch = Math.floor(position / n);
  if (!known.has(epoch)) known.set(epoch, keysOf(epoch));
  let value = position % n;
  do {
    let [left, right] = [value >>> half, value & mask];
    for (const key of known.get(epoch)) [left, right] = [right, (left ^ (mix((right + key) >>> 0) & mask)) >>> 0];
    value = ((left << half) | right) >>> 0;
  } while (value >= n);
  return value;
};

const rounded = value => Math.floor(value + 0.5);
const table = unit => Array.from({length: 256}, (_, index) => rounded(Math.exp(-index * unit) * 2 ** 24));
const [A, B, C] = [2 ** -4, 2 ** -12, 2 ** -20].map(table);
const factor = value => {
  let scale = 1;
  while (value * scale < 2 ** 20) scale *= 2;
  while (value * scale >= 2 ** 21) scale /= 2;
  return rounded(value * scale) / scale;
};
const [rate, biasRate] = [factor(RATE / 255), factor(RATE)];

const [V, b] = [new Float64Array(D * K), new Float64Array(K)];
for (let step = 0; step < STEPS; step++) {
  const [G, g] = [new Float64Array(D * K), new Float64Array(K)];
  for (let place = 0; place < BATCH; place++) {
    const row = rowAt(step * BATCH + place);
    const q = inputs.subarray(row * D, (row + 1) * D);
    const Z = Array.from(b, value => 255 * value);
    for (let d = 0; d < D; d++) if (q[d]) for (let k = 0; k < K; k++) Z[k] += q[d] * V[d * K + k];
    const highest = Math.max(...Z);
    const E = Z.map(value => {
      const t = Math.min(rounded((highest - value) / 4080), 2 ** 24 - 1);
      return rounded(rounded(A[t >> 16] * B[(t >> 8) & 255] / 2 ** 24) * C[t & 255] / 2 ** 24);
    });
    const sum = E.reduce((total, value) => total + value, 0);
    const e = E.map((value, k) => rounded(value * 2 ** 20 / sum) - (k === labels[row] ? 2 ** 20 : 0));
    for (let d = 0; d < D; d++) if (q[d]) for (let k = 0; k < K; k++) G[d * K + k] += q[d] * e[k];
    e.forEach((value, k) => g[k] += value);
  }
  G.forEach((value, index) => V[index] -= rounded(rounded(16 * value / BATCH) * rate));
  g.forEach((value, k) => b[k] -= rounded(rounded(16 * value / BATCH) * biasRate));
}
const digest = createHash("sha256");
for (const values of [V, b]) digest.update(Buffer.from(Float64Array.from(values, v => v / 2 ** 24 + 0).buffer));
console.log(digest.digest("hex"));
