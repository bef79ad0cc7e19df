// Plain C++ that every instruction set compiles for itself: what is done to sums before they are results.
#pragma once

#include <cmath>

#include "kernels.h"
#include "numbers.h"

namespace starloom {
namespace {

// 2^x to float32's precision for |x| <= 126, clamped beyond.
inline float exp2_near(float x) {
  x = std::fabs(x) < 126.0f ? x : std::copysign(126.0f, x);
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
inline float gelu(float z) {
  constexpr float kA = -2.0f * 0.7978845608028654f * 1.4426950408889634f, kB = kA * 0.044715f;
  return z / (1.0f + exp2_near(z * (kA + kB * z * z)));
}

// A row of at most a stripe; `count` is a constant where it is a whole one, which compilers make vectors of.
[[gnu::always_inline]] inline void finish_stripe(Epilogue epilogue, const float* __restrict z, int count, const float* __restrict bias,
                                                 float* __restrict y) {
  float sums[kStripe];
  for (int i = 0; i < count; ++i) sums[i] = z[i];
  if (bias != nullptr)
    for (int i = 0; i < count; ++i) sums[i] += bias[i];
  if (epilogue == Epilogue::gelu)
    for (int i = 0; i < count; ++i) sums[i] = gelu(sums[i]);
  if (epilogue == Epilogue::add)
    for (int i = 0; i < count; ++i) sums[i] += y[i];
  for (int i = 0; i < count; ++i) y[i] = sums[i];
}

inline void finish_rows(Epilogue epilogue, const float* z, int rows, int width, int count, const float* bias, float* y, ptrdiff_t stride) {
  for (int r = 0; r < rows; ++r, z += width, y += stride)
    for (int i = 0; i < count; i += kStripe) {
      const float* some = bias == nullptr ? nullptr : bias + i;
      if (count - i >= kStripe)
        finish_stripe(epilogue, z + i, kStripe, some, y + i);
      else
        finish_stripe(epilogue, z + i, count - i, some, y + i);
    }
}

}  // namespace
}  // namespace starloom
