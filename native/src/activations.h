// Plain C++ that every instruction set compiles for itself: tiles of activations, as kernels.h describes them.
#pragma once

#include "kernels.h"
#include "numbers.h"

namespace starloom {
namespace {

// The power of two that makes 127 of the largest of a group or more, as bits; what is not finite stays so.
inline uint32_t unit_bits(const float* x) {
  uint32_t largest = 0;
  for (int k = 0; k < kGroup; ++k) {
    const uint32_t magnitude = bits_of(x[k]) & 0x7fffffff;
    largest = magnitude > largest ? magnitude : largest;
  }
  if (largest >= 0x7f800000) return 0x7fc00000;
  const uint32_t up = (bits_of(from_bits(largest) * (1.0f / 127)) + 0x7fffff) & 0x7f800000;
  constexpr uint32_t least = (127 - 100) << 23, most = (127 + 100) << 23;  // so that units are normal numbers
  return up < least ? least : up > most ? most : up;
}

// Numbers of one group to the nearest, ties to even; returns their sum.
inline int32_t round_group(const float* x, float inverse, int8_t* numbers) {
  constexpr float kRounder = 0x1.8p23f;
  int32_t sum = 0;
  for (int k = 0; k < kGroup; ++k) {
    const int32_t number = int32_t(bits_of(x[k] * inverse + kRounder)) - int32_t(bits_of(kRounder));
    sum += number;
    numbers[k] = int8_t(number);
  }
  return sum;
}

inline void prepare_group(Kind kind, const float* x, int row, int rows, uint8_t* group) {
  const uint32_t power = unit_bits(x);
  const bool finite = power != 0x7fc00000;
  int8_t numbers[kGroup] = {};
  const int32_t sum = finite ? round_group(x, from_bits((254u << 23) - power), numbers) : 0;
  const float unit = finite ? from_bits(power) * 0x1.8p23f : from_bits(power), real_sum = float(sum) * from_bits(power);
  const int32_t start = int32_t(bits_of(unit)) - offset(kind) * sum;
  for (int step = 0; step < kSteps; ++step) std::memcpy(group + (step * rows + row) * 4, numbers + 4 * step, 4);
  uint8_t* rest = group + (kSteps * rows + row) * 4;
  std::memcpy(rest, &start, 4);
  std::memcpy(rest + 4 * rows, &unit, 4);
  std::memcpy(rest + 8 * rows, &real_sum, 4);
}

inline void prepare_tile(Kind kind, const float* x, ptrdiff_t stride, int rows, int columns, uint8_t* tile) {
  const auto at = [=](int r, int k) { return x + r * stride + k; };
  if (kind == Kind::f32) {
    for (int k = 0; k < columns; ++k)
      for (int r = 0; r < rows; ++r, tile += 4) std::memcpy(tile, at(r, k), 4);
  } else if (kind == Kind::bf16) {
    for (int k = 0; k < columns; k += 2)
      for (int r = 0; r < rows; ++r, tile += 4) {
        const uint32_t pair = to_bf16(at(r, k)[0]) | uint32_t(to_bf16(at(r, k)[1])) << 16;
        std::memcpy(tile, &pair, 4);
      }
  } else {
    for (int r = 0; r < rows; ++r)
      for (int k = 0; k < columns; k += kGroup) prepare_group(kind, at(r, k), r, rows, tile + k / kGroup * group_bytes(rows));
  }
}

}  // namespace
}  // namespace starloom
