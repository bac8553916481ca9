/* The logits of features in units of 2^-24 / SCALE, as whole numbers, which are the same on every machine. */
static inline void mnist_logits(const uint8_t features[static MNIST_FEATURES], int64_t logits[static MNIST_CLASSES]) {
  for (int label = 0; label < MNIST_CLASSES; label++) logits[label] = CONSTANTS[label];
  for (int index = 0; index < MNIST_FEATURES; index++) {
    if (features[index] == 0) continue;
    for (int label = 0; label < MNIST_CLASSES; label++)
      logits[label] += (int64_t)features[index] * WEIGHTS[index * MNIST_CLASSES + label];
  }
}

/* Returns the most probable label, the lowest one if labels tie; writes all probabilities; overwrites the logits. */
static inline int mnist_softmax(int64_t logits[static MNIST_CLASSES], float probabilities[static MNIST_CLASSES]) {
  int64_t sum = 0;
  int best = 0;
  for (int label = 1; label < MNIST_CLASSES; label++)
    if (logits[label] > logits[best]) best = label;
  int64_t highest = logits[best];
  for (int label = 0; label < MNIST_CLASSES; label++) { /* exp of the distance, in units of 2^-24, from three tables */
    int64_t distance = (highest - logits[label] + 8 * SCALE) / (16 * SCALE);
    if (distance > 16777215) distance = 16777215;
    int64_t high = HIGH[distance >> 16], middle = MIDDLE[distance >> 8 & 255], low = LOW[distance & 255];
    logits[label] = (((high * middle + 8388608) >> 24) * low + 8388608) >> 24;
    sum += logits[label];
  }
  for (int label = 0; label < MNIST_CLASSES; label++) probabilities[label] = (float)logits[label] / (float)sum;
  return best;
}

/* Returns the label of an image; writes the probabilities of all labels. */
static inline int mnist_predict(const uint8_t pixels[static MNIST_PIXELS], float probabilities[static MNIST_CLASSES]) {
  static uint8_t features[MNIST_FEATURES];
  static int64_t logits[MNIST_CLASSES];
  mnist_features(pixels, features);
  mnist_logits(features, logits);
  return mnist_softmax(logits, probabilities);
}
