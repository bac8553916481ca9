/* Classifies images from standard input, for the verification of an export. */
#include <stdio.h>
#include "mnist.h"

int main(void) {
  static uint8_t pixels[MNIST_PIXELS], features[MNIST_FEATURES];
  static int64_t logits[MNIST_CLASSES];
  static float probabilities[MNIST_CLASSES];
  while (fread(pixels, 1, sizeof pixels, stdin) == sizeof pixels) {
    uint32_t fingerprint = 2166136261u, label; /* the FNV-1a hash of the features */
    mnist_features(pixels, features);
    for (int index = 0; index < MNIST_FEATURES; index++) fingerprint = (fingerprint ^ features[index]) * 16777619u;
    mnist_logits(features, logits);
    fwrite(&fingerprint, sizeof fingerprint, 1, stdout);
    fwrite(logits, sizeof logits, 1, stdout);
    label = (uint32_t)mnist_softmax(logits, probabilities);
    fwrite(&label, sizeof label, 1, stdout);
    fwrite(probabilities, sizeof probabilities, 1, stdout);
  }
  return 0;
}
