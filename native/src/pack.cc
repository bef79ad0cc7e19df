// The rounding and packing of pack.h, group by group.
#include "starloom/pack.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "kernels.h"
#include "numbers.h"
#include "starloom/threads.h"

namespace starloom {
namespace {

struct Scale {
  uint16_t scale, minimum;
};

uint16_t half(float x) {
  const uint16_t bits = to_fp16(x);
  if ((bits & 0x7c00) == 0x7c00)
    throw std::invalid_argument("a weight is too large for a scale of 16 bits, or not a number; pack as bf16 or f32");
  return bits;
}

float inverse(uint16_t scale) {
  const float wide = from_fp16(scale);
  return wide == 0 ? 0 : 1 / wide;
}

// Rounds 32 weights; numbers as they are stored.
Scale round_weights(Kind kind, const float* w, uint8_t* numbers) {
  const auto put = [&](Scale s, float shift, float low, float high) {
    const float factor = inverse(s.scale);
    for (int k = 0; k < kGroup; ++k)
      numbers[k] = uint8_t(int(std::clamp(std::nearbyint((w[k] - from_fp16(s.minimum)) * factor) + shift, low, high)));
    return s;
  };
  float low = w[0], high = w[0], extreme = w[0];
  for (int k = 0; k < kGroup; ++k) {
    if (!std::isfinite(w[k])) half(w[k]);
    low = std::min(low, w[k]), high = std::max(high, w[k]);
    if (std::fabs(w[k]) > std::fabs(extreme)) extreme = w[k];
  }
  if (kind == Kind::q8) return put({half(std::fabs(extreme) / 127), 0}, 0, -127, 127);
  if (kind == Kind::q4) return put({half(extreme / -8), 0}, 8, 0, 15);
  return put({half((high - low) / 15), half(low)}, 0, 0, 15);
}

void pack_group(Kind kind, const float* w, int row, int group, uint8_t* block) {
  uint8_t numbers[kGroup];
  const Scale s = round_weights(kind, w, numbers);
  const size_t bytes = kStripe * kGroup / (kind == Kind::q8 ? 1 : 2);
  uint8_t* to = block + group * bytes;
  for (int k = 0; k < kGroup; ++k) {
    if (kind == Kind::q8)
      to[(k / 4 * kStripe + row) * 4 + k % 4] = numbers[k];
    else if (k % 8 < 4)
      to[(k / 8 * kStripe + row) * 4 + k % 4] = uint8_t(numbers[k] | numbers[k + 4] << 4);
  }
  std::memcpy(block + 2 * bytes + (group * kStripe + row) * 2, &s.scale, 2);
  if (kind == Kind::q4m) std::memcpy(block + 2 * bytes + ((2 + group) * kStripe + row) * 2, &s.minimum, 2);
}

void pack_block(Kind kind, const float* w, int row, uint8_t* block) {
  for (int k = 0; k < kBlock; ++k) {
    const uint16_t half = to_bf16(w[k]);
    if (kind == Kind::f32) std::memcpy(block + (k * kStripe + row) * 4, w + k, 4);
    if (kind == Kind::bf16) std::memcpy(block + ((k / 2 * kStripe + row) * 2 + k % 2) * 2, &half, 2);
    if (has_groups(kind) && k % kGroup == 0) pack_group(kind, w + k, row, k / kGroup, block);
  }
}

}  // namespace

void pack(Kind kind, const float* weights, int rows, int columns, uint8_t* data, Threads& threads) {
  const size_t bytes = matrix_bytes(kind, kStripe, columns);
  threads.run(size_t(rows + kStripe - 1) / kStripe, [&](size_t stripe, int) {
    uint8_t* to = data + stripe * bytes;
    std::memset(to, 0, bytes);
    for (int row = 0; row < kStripe && int(stripe) * kStripe + row < rows; ++row)
      for (int b = 0; b < columns / kBlock; ++b)
        pack_block(kind, weights + (stripe * kStripe + row) * columns + b * kBlock, row, to + b * block_bytes(kind));
  });
}

}  // namespace starloom
