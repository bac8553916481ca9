/* always */
/* floor((value + half of 2^shift) / 2^shift), so halves are rounded up. Never shifts a negative number. */
static inline int64_t mnist_rounded(int64_t value, int shift) {
  int64_t unit = (int64_t)1 << shift;
  value += unit >> 1;
  return value >= 0 ? value >> shift : -((unit - 1 - value) >> shift);
}

/* shrink */
/* Rounded mean over boxes of factor x factor pixels, with zeros beyond the edge. */
static inline void mnist_shrink(int32_t *out, const int32_t *in, int height, int width, int factor) {
  int rows = (height + factor - 1) / factor, columns = (width + factor - 1) / factor;
  for (int row = 0; row < rows; row++)
    for (int column = 0; column < columns; column++) {
      int32_t sum = 0;
      for (int y = row * factor; y < (row + 1) * factor && y < height; y++)
        for (int x = column * factor; x < (column + 1) * factor && x < width; x++) sum += in[y * width + x];
      out[row * columns + column] = (2 * sum + factor * factor) / (2 * factor * factor);
    }
}

/* deskew */
/* floor(q * 2^bits + 1/2), where q = over / under and the sum are rounded like float64: to 53 bits, ties to even. So
   the result is that of IEEE arithmetic, computed in whole numbers. |q| * 2^bits is below 2^52. */
static inline int64_t mnist_quotient(int64_t over, int64_t under, int bits) {
  uint64_t rest = over < 0 ? (uint64_t)-over : (uint64_t)over, divisor = (uint64_t)under, quotient = 0;
  int exponent = 0, round, place;
  if (rest == 0) return 0;
  while (rest >= 2 * divisor) divisor *= 2, exponent++;
  while (rest < divisor) rest *= 2, exponent--;
  for (place = 0; place < 53; place++) {
    quotient *= 2;
    if (rest >= divisor) rest -= divisor, quotient++;
    rest *= 2;
  }
  if (rest > divisor || (rest == divisor && quotient % 2)) quotient++;
  exponent += bits - 52; /* |q| * 2^bits = quotient * 2^exponent */
  if (exponent >= 0) return over < 0 ? -(int64_t)(quotient << exponent) : (int64_t)(quotient << exponent);
  if (exponent < -61) return 0; /* below 1/128, so it stays below 1 when a half is added */
  int64_t sum = (over < 0 ? -(int64_t)quotient : (int64_t)quotient) + ((int64_t)1 << (-exponent - 1));
  uint64_t size = sum < 0 ? (uint64_t)-sum : (uint64_t)sum;
  for (round = 0; size >> round >= (uint64_t)1 << 53; round++) continue;
  if (round) {
    uint64_t dropped = size & (((uint64_t)1 << round) - 1), half = (uint64_t)1 << (round - 1);
    size = (size >> round) + (dropped > half || (dropped == half && (size >> round) % 2));
    size <<= round;
  }
  return sum >= 0 ? (int64_t)(size >> -exponent) : -(int64_t)((size + (((uint64_t)1 << -exponent) - 1)) >> -exponent);
}

static inline int32_t mnist_pixel(const int32_t *image, int height, int width, int64_t y, int64_t x) {
  return y < 0 || y >= height || x < 0 || x >= width ? 0 : image[y * width + x];
}

static inline int64_t mnist_within(int64_t value, int64_t low, int64_t high) {
  return value < low ? low : value > high ? high : value;
}

/* Shears by cov(x, y) / var(y), and moves the centre of mass to the middle; bilinear, bytes to bytes. */
static inline void mnist_deskew(int32_t *out, const int32_t *in, int height, int width, int position, int shear) {
  int64_t mass = 0, sum_x = 0, sum_y = 0, sum_xy = 0, sum_yy = 0, unit = (int64_t)1 << position;
  for (int y = 0; y < height; y++)
    for (int x = 0; x < width; x++) {
      int64_t ink = in[y * width + x];
      mass += ink, sum_x += ink * x, sum_y += ink * y, sum_xy += ink * x * y, sum_yy += ink * y * y;
    }
  if (mass < 1) mass = 1;
  int64_t variance = mass * sum_yy - sum_y * sum_y;
  int64_t slant = mnist_quotient(mass * sum_xy - sum_x * sum_y, variance < 1 ? 1 : variance, shear);
  int64_t from_y = mnist_quotient(sum_y, mass, position) - (height - 1) * unit / 2;
  int64_t from_x = mnist_quotient(sum_x, mass, position) - (width - 1) * unit / 2;
  for (int row = 0; row < height; row++) {
    int64_t y = mnist_within(row * unit + from_y, -unit, height * unit) + unit; /* at least 0, for shifting */
    int64_t slide = mnist_rounded(slant * (2 * row - (height - 1)), shear + 1 - position);
    int64_t top = (y >> position) - 1, low = y & (unit - 1);
    for (int column = 0; column < width; column++) {
      int64_t x = mnist_within(from_x + slide + column * unit, -unit, width * unit) + unit;
      int64_t left = (x >> position) - 1, right = x & (unit - 1);
      int64_t before = mnist_pixel(in, height, width, top, left) * (unit - low) +
                       mnist_pixel(in, height, width, top + 1, left) * low;
      int64_t after = mnist_pixel(in, height, width, top, left + 1) * (unit - low) +
                      mnist_pixel(in, height, width, top + 1, left + 1) * low;
      out[row * width + column] = (int32_t)mnist_rounded(before * (unit - right) + after * right, 2 * position);
    }
  }
}

/* conv */
/* Convolves every map with each of `count` kernels of size x size, with zeros beyond the edge. Goes weight by weight
   over the whole map, so that compilers turn the innermost loop into vector instructions. */
static inline void mnist_conv(int32_t *out, const int32_t *in, int maps, int height, int width, const int32_t *kernels,
                              int count, int size, int shift) {
  int radius = size / 2, area = height * width;
  for (int plane = 0; plane < maps * count; plane++) {
    const int32_t *map = in + plane / count * area, *weights = kernels + plane % count * size * size;
    int32_t *sums = out + plane * area;
    for (int index = 0; index < area; index++) sums[index] = 0;
    for (int i = -radius; i <= radius; i++)
      for (int j = -radius; j <= radius; j++) {
        int32_t weight = weights[(i + radius) * size + j + radius];
        int left = j < 0 ? -j : 0, right = j > 0 ? width - j : width;
        for (int y = i < 0 ? -i : 0; y < (i > 0 ? height - i : height); y++)
          for (int x = left; x < right; x++) sums[y * width + x] += weight * map[(y + i) * width + x + j];
      }
    for (int index = 0; index < area; index++) sums[index] = (int32_t)mnist_rounded(sums[index], shift);
  }
}

/* relu2 */
/* For each of `groups`: max(u, 0) of its values, then max(-u, 0). */
static inline void mnist_relu2(int32_t *out, const int32_t *in, int groups, int values) {
  for (int group = 0; group < groups; group++)
    for (int index = 0; index < values; index++) {
      int32_t value = in[group * values + index];
      out[2 * group * values + index] = value > 0 ? value : 0;
      out[(2 * group + 1) * values + index] = value < 0 ? -value : 0;
    }
}

/* modulus */
/* For each of `groups`: the rounded root of re^2 + im^2; its first half is re, its second half im. */
static inline void mnist_modulus(int32_t *out, const int32_t *in, int groups, int values) {
  for (int group = 0; group < groups; group++)
    for (int index = 0; index < values; index++) {
      int32_t re = in[2 * group * values + index], im = in[(2 * group + 1) * values + index];
      uint32_t square = (uint32_t)(re * re + im * im), rest = square, root = 0;
      for (uint32_t bit = (uint32_t)1 << 24; bit; bit >>= 2) { /* computes the root bit by bit */
        if (rest >= root + bit)
          rest -= root + bit, root = (root >> 1) + bit;
        else
          root >>= 1;
      }
      out[group * values + index] = (int32_t)(root + (rest > root));
    }
}

/* pool */
/* rows (map) columns^T of every map, with windows [new_height][height] and [new_width][width]. */
static inline void mnist_pool(int32_t *out, const int32_t *in, int maps, int height, int width, const int32_t *rows,
                              int new_height, const int32_t *columns, int new_width, int shift) {
  for (int map = 0; map < maps; map++)
    for (int row = 0; row < new_height; row++)
      for (int column = 0; column < new_width; column++) {
        int32_t sum = 0;
        for (int y = 0; y < height; y++) {
          int32_t across = 0;
          if (rows[row * height + y] == 0) continue;
          for (int x = 0; x < width; x++) across += columns[column * width + x] * in[(map * height + y) * width + x];
          sum += rows[row * height + y] * across;
        }
        out[(map * new_height + row) * new_width + column] = (int32_t)mnist_rounded(sum, shift);
      }
}

/* bytes */
/* clip(floor((factor * value + offset) / 2^shift), 0, 255) */
static inline void mnist_bytes(uint8_t *out, const int32_t *in, int count, const int32_t *factors,
                               const int32_t *offsets, int shift) {
  for (int index = 0; index < count; index++) {
    int32_t value = factors[index] * in[index] + offsets[index];
    value = value < 0 ? 0 : value >> shift;
    out[index] = (uint8_t)(value > 255 ? 255 : value);
  }
}
