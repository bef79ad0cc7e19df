// The instructions of AVX-512 without VNNI, as multiply_simd.h asks for them.
#pragma once

#include "multiply_simd.h"

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // GCC 12 warns of its own intrinsics that leave lanes undefined
#endif

namespace starloom {
namespace {

struct Vectors512 {
  using Vector = __m512i;
  static constexpr int kLanes = 16, kRegisters = 32, kStripes = 3, kTiles = 2, kStreams = 1;
  template <Kind kind>
  static constexpr bool kSigned = kind == Kind::q8;
  template <Kind kind>
  static constexpr bool kNarrow = has_nibbles(kind);

  static Vector zero() { return _mm512_setzero_si512(); }
  static Vector load(const void* p) { return _mm512_loadu_si512(p); }
  static void store(float* p, Vector x) { _mm512_storeu_si512(p, x); }
  static Vector broadcast(const uint8_t* p) {
    int32_t x;
    std::memcpy(&x, p, 4);
    return _mm512_set1_epi32(x);
  }
  static Vector exclusive_or(Vector x, Vector y) { return _mm512_xor_si512(x, y); }
  static Vector halves(const uint8_t* p) {
    return _mm512_castps_si512(_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))));
  }
  static Vector subtract(Vector x, Vector y) {
    return _mm512_castps_si512(_mm512_sub_ps(_mm512_castsi512_ps(x), _mm512_castsi512_ps(y)));
  }
  static Vector widen(Vector x, Vector start) {
    return _mm512_add_epi32(start, _mm512_madd_epi16(x, _mm512_set1_epi16(1)));
  }
  static Vector multiply_add(Vector x, Vector y, Vector z) {
    return _mm512_castps_si512(_mm512_fmadd_ps(_mm512_castsi512_ps(x), _mm512_castsi512_ps(y), _mm512_castsi512_ps(z)));
  }

  template <Kind kind>
  struct Step {  // nibbles; f32
    Vector x;
    void load(const uint8_t* p, bool high) {
      x = Vectors512::load(p);
      if constexpr (has_groups(kind)) x = _mm512_and_si512(high ? _mm512_srli_epi32(x, 4) : x, _mm512_set1_epi8(15));
    }
  };
  template <Kind kind>
  static void dot(Vector& sum, const Step<kind>& w, Vector a) {
    if constexpr (kind == Kind::f32) {
      sum = multiply_add(w.x, a, sum);
    } else if constexpr (kind == Kind::bf16) {
      const Vector upper = _mm512_set1_epi32(int(0xffff0000));
      sum = multiply_add(w.low, _mm512_slli_epi32(a, 16), sum);
      sum = multiply_add(w.high, _mm512_and_si512(a, upper), sum);
    } else if constexpr (kind == Kind::q8) {  // no sum of a pair exceeds 16 bits: 128 * 127 * 2
      sum = widen(_mm512_maddubs_epi16(w.magnitude, _mm512_mask_sub_epi8(a, w.negative, zero(), a)), sum);
    } else {
      sum = _mm512_add_epi16(sum, _mm512_maddubs_epi16(w.x, a));
    }
    asm("" : "+v"(sum));  // see multiply_avx2.cc
  }
};

template <>
struct Vectors512::Step<Kind::q8> {
  Vector magnitude;
  __mmask64 negative;
  void load(const uint8_t* p, bool) {
    const Vector x = Vectors512::load(p);
    magnitude = _mm512_abs_epi8(x), negative = _mm512_movepi8_mask(x);
  }
};

template <>
struct Vectors512::Step<Kind::bf16> {
  Vector low, high;
  void load(const uint8_t* p, bool) {
    const Vector x = Vectors512::load(p);
    low = _mm512_slli_epi32(x, 16), high = _mm512_and_si512(x, _mm512_set1_epi32(int(0xffff0000)));
  }
};

}  // namespace
}  // namespace starloom
