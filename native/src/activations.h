// Plain C++ that every instruction set compiles for itself: tiles of activations (see kernels.h) and the GELU.
#pragma once

#include <cmath>

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
  uint8_t* rest = group + size_t(kGroup) * rows + 4 * row;
  std::memcpy(rest, &start, 4);
  std::memcpy(rest + 4 * rows, &unit, 4);
  std::memcpy(rest + 8 * rows, &real_sum, 4);
}

inline void prepare_tile(Kind kind, const float* x, ptrdiff_t stride, int rows, int columns, uint8_t* tile) {
  for (int r = 0; r < rows; ++r, x += stride) {
    if (kind == Kind::f32) {
      for (int k = 0; k < columns; ++k) std::memcpy(tile + (size_t(k) * rows + r) * 4, x + k, 4);
    } else if (kind == Kind::bf16) {
      for (int k = 0; k < columns; k += 2) {
        const uint32_t pair = to_bf16(x[k]) | uint32_t(to_bf16(x[k + 1])) << 16;
        std::memcpy(tile + (size_t(k / 2) * rows + r) * 4, &pair, 4);
      }
    } else {
      for (int g = 0; g < columns / kGroup; ++g) prepare_group(kind, x + g * kGroup, r, rows, tile + g * group_bytes(rows));
    }
  }
}

// 2^x to float32's precision for |x| <= 126, clamped beyond.
inline float exp2_near(float x) {
  x = x < -126.0f ? -126.0f : x > 126.0f ? 126.0f : x;
  const float shifted = x + 0x1.8p23f, f = x - (shifted - 0x1.8p23f);
  float y = 1.54035304e-4f;  // the series of 2^f, |f| <= 1/2
  y = y * f + 1.33335581e-3f;
  y = y * f + 9.61812911e-3f;
  y = y * f + 5.55041087e-2f;
  y = y * f + 2.40226507e-1f;
  y = y * f + 6.93147181e-1f;
  y = y * f + 1.0f;
  return y * from_bits((bits_of(shifted) - bits_of(0x1.8p23f) + 127) << 23);
}

// The GELU of tanh: z / (1 + exp(-2u)), u = sqrt(2/pi) (z + 0.044715 z^3).
inline void gelu_all(float* z, size_t n) {
  constexpr float kA = -2.0f * 0.7978845608028654f * 1.4426950408889634f, kB = kA * 0.044715f;
  for (size_t i = 0; i < n; ++i) z[i] = z[i] / (1.0f + exp2_near(z[i] * (kA + kB * z[i] * z[i])));
}

}  // namespace
}  // namespace starloom
