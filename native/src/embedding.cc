// Reads single rows out of a packed matrix (see matrix.h for how they lie): the embedding is a table as well as a head.
#include <cstring>

#include "starloom/model.h"

namespace starloom {
namespace {

float bf16(const uint8_t* p) {
  uint16_t half;
  std::memcpy(&half, p, 2);
  const uint32_t bits = uint32_t(half) << 16;
  float x;
  std::memcpy(&x, &bits, 4);
  return x;
}

float fp16(const uint8_t* p) {
  uint16_t half;
  std::memcpy(&half, p, 2);
  const uint32_t sign = uint32_t(half >> 15) << 31, exponent = (half >> 10) & 31, fraction = half & 1023;
  if (exponent == 0) return (sign ? -1.0f : 1.0f) * float(fraction) * 0x1p-24f;
  const uint32_t bits = sign | ((exponent == 31 ? 255 : exponent + 112) << 23) | (fraction << 13);
  float x;
  std::memcpy(&x, &bits, 4);
  return x;
}

// A group of 32 inputs of one row of a stripe in 4 bits: the number at input i.
int nibble(const uint8_t* group, int row, int i) {
  const uint8_t both = group[(i / 8 * kStripe + row) * 4 + i % 4];
  return i % 8 < 4 ? both & 15 : both >> 4;
}

void read_block(Kind kind, const uint8_t* block, int row, float* x) {
  constexpr int groups = kBlock / kGroup;
  for (int i = 0; i < kBlock; ++i) {
    const int g = i / kGroup, k = i % kGroup;
    const auto scale = [&](int bytes) { return block + groups * bytes + (g * kStripe + row) * 2; };
    switch (kind) {
      case Kind::f32: std::memcpy(x + i, block + (i * kStripe + row) * 4, 4); break;
      case Kind::bf16: x[i] = bf16(block + ((i / 2 * kStripe + row) * 2 + i % 2) * 2); break;
      case Kind::q8: {
        constexpr int bytes = kGroup * kStripe;
        x[i] = fp16(scale(bytes)) * float(int8_t(block[g * bytes + (k / 4 * kStripe + row) * 4 + k % 4]));
        break;
      }
      case Kind::q4:
      case Kind::q4m: {
        constexpr int bytes = kGroup * kStripe / 2, scales = groups * kStripe * 2;
        const int q = nibble(block + g * bytes, row, k);
        x[i] = kind == Kind::q4 ? fp16(scale(bytes)) * float(q - 8)
                                : fp16(scale(bytes)) * float(q) + fp16(scale(bytes) + scales);
        break;
      }
    }
  }
}

}  // namespace

void read_row(const Matrix& w, int row, float* x) {
  const int blocks = w.columns / kBlock;
  const uint8_t* stripe = w.data + size_t(row / kStripe) * blocks * block_bytes(w.kind);
  for (int b = 0; b < blocks; ++b) read_block(w.kind, stripe + b * block_bytes(w.kind), row % kStripe, x + b * kBlock);
}

}  // namespace starloom
