// The loops that measure what an instruction set can do at most, over the vectors of multiply_simd.h.
#pragma once

#include <immintrin.h>

#include "kernels.h"
#include "numbers.h"

namespace starloom {
namespace {

// `make.template operator()<kind>()` for the kind at hand.
template <class Make>
auto for_kind(Kind kind, const Make& make) {
  switch (kind) {
    case Kind::bf16: return make.template operator()<Kind::bf16>();
    case Kind::q8: return make.template operator()<Kind::q8>();
    case Kind::q4: return make.template operator()<Kind::q4>();
    case Kind::q4m: return make.template operator()<Kind::q4m>();
    case Kind::f32: break;
  }
  return make.template operator()<Kind::f32>();
}

// As many independent sums as three quarters of the registers hold, always the same operands.
template <class V, Kind kind>
double peak_of(size_t rounds) {
  constexpr int kSums = V::kRegisters * 3 / 4;
  constexpr int kPerLane = kind == Kind::f32 ? 1 : kind == Kind::bf16 ? 2 : 4;
  alignas(64) static constexpr uint8_t kNothing[64] = {};
  typename V::Vector sums[kSums], a = V::zero();
  typename V::template Step<kind> w;
  const uint8_t* nothing = kNothing;
  asm volatile("" : "+r"(nothing));  // else the compiler sees that sums stay 0
  w.load(nothing, false);
#pragma GCC unroll 24
  for (int i = 0; i < kSums; ++i) sums[i] = V::zero();
  for (size_t round = 0; round < rounds; ++round)
#pragma GCC unroll 24
    for (int i = 0; i < kSums; ++i) {
      V::template dot<kind>(sums[i], w, a);
      asm volatile("" : "+v"(sums[i]), "+v"(a));  // else products of what never changes leave the loop
    }
  return 2.0 * kPerLane * V::kLanes * kSums * double(rounds);
}

template <class V>
double peak(Kind kind, size_t rounds) {
  return for_kind(kind, [=]<Kind k>() { return peak_of<V, k>(rounds); });
}

// Two streams of lines; the result depends on all bytes, which keeps the compiler from leaving any out.
template <class V>
uint64_t read_all(const uint8_t* data, size_t size) {
  constexpr size_t kVector = 4 * V::kLanes;
  const size_t half = size / 2 / kVector * kVector;
  auto first = V::zero(), second = V::zero();
  for (size_t i = 0; i < half; i += kVector) {
    first = V::exclusive_or(first, V::load(data + i));
    second = V::exclusive_or(second, V::load(data + half + i));
  }
  float lanes[V::kLanes];
  V::store(lanes, V::exclusive_or(first, second));
  uint64_t all = 0;
  for (const float lane : lanes) all ^= bits_of(lane);
  for (size_t i = 2 * half; i < size; ++i) all ^= data[i];
  return all;
}

}  // namespace
}  // namespace starloom
