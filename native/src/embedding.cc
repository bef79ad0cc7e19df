// Reads single rows out of a packed matrix (see matrix.h for how they lie): the embedding is a table as well as a head.
#include <cstring>

#include "numbers.h"
#include "starloom/model.h"

namespace starloom {
namespace {

uint16_t half_at(const uint8_t* p) {
  uint16_t half;
  std::memcpy(&half, p, 2);
  return half;
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
    const auto scale = [&](int bytes) { return from_fp16(half_at(block + groups * bytes + (g * kStripe + row) * 2)); };
    switch (kind) {
      case Kind::f32: std::memcpy(x + i, block + (i * kStripe + row) * 4, 4); break;
      case Kind::bf16: x[i] = from_bf16(half_at(block + ((i / 2 * kStripe + row) * 2 + i % 2) * 2)); break;
      case Kind::q8: {
        constexpr int bytes = kGroup * kStripe;
        x[i] = scale(bytes) * float(int8_t(block[g * bytes + (k / 4 * kStripe + row) * 4 + k % 4]));
        break;
      }
      case Kind::q4:
      case Kind::q4m: {
        constexpr int bytes = kGroup * kStripe / 2, scale_bytes = kStripe * 2;  // of a group; minima follow all scales
        const int q = nibble(block + g * bytes, row, k);
        x[i] = kind == Kind::q4 ? scale(bytes) * float(q - 8) : scale(bytes) * float(q) + scale(bytes + scale_bytes);
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
