// Floating-point numbers of 16 bits, in plain C++.
#pragma once

#include <cstdint>
#include <cstring>

namespace starloom {

inline uint32_t bits_of(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, 4);
  return bits;
}

inline float from_bits(uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, 4);
  return x;
}

inline float from_bf16(uint16_t half) { return from_bits(uint32_t(half) << 16); }

inline uint16_t to_bf16(float x) {  // to nearest, ties to even; NaN stays NaN
  const uint32_t bits = bits_of(x);
  return uint16_t(x != x ? (bits >> 16) | 64 : (bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

// Moves the exponent by a product, which also puts denormal numbers right.
inline float from_fp16(uint16_t half) {
  const uint32_t sign = uint32_t(half & 0x8000) << 16, rest = half & 0x7fff;
  const float x = from_bits(rest << 13) * 0x1p112f;
  return from_bits(bits_of(rest >= 0x7c00 ? from_bits(0x7f800000 | rest << 13) : x) | sign);
}

inline uint16_t to_fp16(float x) {  // to nearest, ties to even
  const uint32_t bits = bits_of(x), sign = bits >> 16 & 0x8000, rest = bits & 0x7fffffff;
  if (rest > 0x7f800000) return uint16_t(sign | 0x7e00);
  if (rest >= 0x47800000) return uint16_t(sign | 0x7c00);
  if (rest < 0x38800000) return uint16_t(sign | (bits_of(from_bits(rest) + 0.5f) - bits_of(0.5f)));
  return uint16_t(sign | (rest - 0x38000000 + 0xfff + (rest >> 13 & 1)) >> 13);
}

}  // namespace starloom
