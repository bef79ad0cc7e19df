// Products on any machine, and the readable reference of the others: a group's weights become floats, and whole numbers
// are multiplied as floats, exactly.
#include "activations.h"
#include "epilogue.h"

namespace starloom {
namespace {

// Values of one group of a stripe, [k][row], as whole numbers where the kind has them.
void read_group(Kind kind, const uint8_t* numbers, float (*w)[kStripe]) {
  for (int k = 0; k < kGroup; ++k)
    for (int row = 0; row < kStripe; ++row) {
      if (kind == Kind::q8) {
        w[k][row] = float(int8_t(numbers[(k / 4 * kStripe + row) * 4 + k % 4]));
      } else {
        const uint8_t both = numbers[(k / 8 * kStripe + row) * 4 + k % 4];
        w[k][row] = float(k % 8 < 4 ? both & 15 : both >> 4) - float(offset(kind));
      }
    }
}

void read_scales(const uint8_t* halves, float* scales) {
  for (int row = 0; row < kStripe; ++row) {
    uint16_t half;
    std::memcpy(&half, halves + 2 * row, 2);
    scales[row] = from_fp16(half);
  }
}

float read_float(const uint8_t* p) {
  float x;
  std::memcpy(&x, p, 4);
  return x;
}

void multiply_group(const float (*w)[kStripe], const float* scales, const float* minimums, const uint8_t* group, int row,
                    int rows, float* z) {
  float sums[kStripe] = {};
  for (int k = 0; k < kGroup; ++k) {
    const float a = float(int8_t(group[(k / 4 * rows + row) * 4 + k % 4]));
    for (int i = 0; i < kStripe; ++i) sums[i] += w[k][i] * a;
  }
  const uint8_t* rest = group + size_t(kGroup) * rows + 4 * row;
  const float power = read_float(rest + 4 * rows) * (1.0f / 0x1.8p23f), sum = read_float(rest + 8 * rows);
  for (int i = 0; i < kStripe; ++i) z[i] += sums[i] * power * scales[i] + sum * minimums[i];
}

void multiply_groups(Kind kind, const uint8_t* block, const uint8_t* tile, int rows, float* z, int width) {
  const size_t numbers = kStripe * kGroup / (has_nibbles(kind) ? 2 : 1);
  float w[kGroup][kStripe], scales[kStripe], minimums[kStripe] = {};
  for (int g = 0; g < kBlock / kGroup; ++g, tile += group_bytes(rows)) {
    read_group(kind, block + g * numbers, w);
    read_scales(block + 2 * numbers + g * 2 * kStripe, scales);
    if (kind == Kind::q4m) read_scales(block + 2 * numbers + (2 + g) * 2 * kStripe, minimums);
    for (int r = 0; r < rows; ++r) multiply_group(w, scales, minimums, tile, r, rows, z + r * width);
  }
}

float read_bf16(const uint8_t* p) {
  uint16_t half;
  std::memcpy(&half, p, 2);
  return from_bf16(half);
}

void multiply_floats(Kind kind, const uint8_t* block, const uint8_t* tile, int rows, float* z, int width) {
  float w[kStripe];
  for (int k = 0; k < kBlock; ++k) {
    const auto at = [&](const uint8_t* base, int many, int i) {  // input k of row i of `many`
      return kind == Kind::f32 ? read_float(base + (size_t(k) * many + i) * 4)
                               : read_bf16(base + (size_t(k / 2) * many + i) * 4 + k % 2 * 2);
    };
    for (int i = 0; i < kStripe; ++i) w[i] = at(block, kStripe, i);
    for (int r = 0; r < rows; ++r) {
      const float a = at(tile, rows, r);
      for (int i = 0; i < kStripe; ++i) z[r * width + i] += a * w[i];
    }
  }
}

void multiply_tile(const Weights& w, int stripes, int blocks, const uint8_t* tile, int rows, float* z) {
  for (int s = 0; s < stripes; ++s)
    for (int b = 0; b < blocks; ++b)
      (has_groups(w.kind) ? multiply_groups : multiply_floats)(w.kind, w.data + s * w.stripe_bytes + b * bytes_of_block(w.kind),
                                                               tile + tile_bytes(w.kind, rows, b * kBlock), rows,
                                                               z + s * kStripe, stripes * kStripe);
}

double peak(Kind, size_t rounds) {
  constexpr int kLanes = 64;
  float sums[kLanes] = {}, a[kLanes], b[kLanes];
  for (int i = 0; i < kLanes; ++i) a[i] = float(i), b[i] = 1.0f / float(i + 1);
  for (size_t round = 0; round < rounds; ++round)
    for (int i = 0; i < kLanes; ++i) sums[i] += a[i] * b[i];
  volatile float kept = 0;
  for (float sum : sums) kept = kept + sum;
  return 2.0 * kLanes * double(rounds);
}

// Two streams of lines; the result depends on all bytes, which keeps the compiler from leaving any out.
uint64_t read_all(const uint8_t* data, size_t size) {
  constexpr size_t kWords = 8;
  const size_t half = size / 2 / (8 * kWords) * (8 * kWords);
  uint64_t sums[2][kWords] = {}, all = 0;
  for (size_t i = 0; i < half; i += 8 * kWords)
    for (size_t stream = 0; stream < 2; ++stream)
      for (size_t word = 0; word < kWords; ++word) {
        uint64_t x;
        std::memcpy(&x, data + stream * half + i + 8 * word, 8);
        sums[stream][word] ^= x;
      }
  for (size_t word = 0; word < kWords; ++word) all ^= sums[0][word] ^ sums[1][word];
  for (size_t i = 2 * half; i < size; ++i) all ^= data[i];
  return all;
}

}  // namespace

const Kernels kernels_generic = {1, 1, 1, prepare_tile, multiply_tile, finish_rows, peak, read_all};

}  // namespace starloom
