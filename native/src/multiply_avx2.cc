// Products with AVX2.
#include "multiply_simd.h"

namespace starloom {
namespace {

struct Vectors256 {
  using Vector = __m256i;
  static constexpr int kLanes = 8, kRegisters = 16, kStripes = 1, kTiles = 1, kStreams = 2;
  template <Kind kind>
  static constexpr bool kSigned = kind == Kind::q8;
  template <Kind kind>
  static constexpr bool kNarrow = has_nibbles(kind);

  static Vector zero() { return _mm256_setzero_si256(); }
  static Vector load(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
  static void store(float* p, Vector x) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), x); }
  static Vector broadcast(const uint8_t* p) {
    int32_t x;
    std::memcpy(&x, p, 4);
    return _mm256_set1_epi32(x);
  }
  static Vector exclusive_or(Vector x, Vector y) { return _mm256_xor_si256(x, y); }
  static Vector halves(const uint8_t* p) {
    return _mm256_castps_si256(_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
  }
  static Vector subtract(Vector x, Vector y) {
    return _mm256_castps_si256(_mm256_sub_ps(_mm256_castsi256_ps(x), _mm256_castsi256_ps(y)));
  }
  static Vector widen(Vector x, Vector start) {
    return _mm256_add_epi32(start, _mm256_madd_epi16(x, _mm256_set1_epi16(1)));
  }
  static Vector multiply_add(Vector x, Vector y, Vector z) {
    return _mm256_castps_si256(_mm256_fmadd_ps(_mm256_castsi256_ps(x), _mm256_castsi256_ps(y), _mm256_castsi256_ps(z)));
  }

  template <Kind kind>
  struct Step {  // nibbles; f32 and q8 as they are
    Vector x;
    void load(const uint8_t* p, bool high) {
      x = Vectors256::load(p);
      if constexpr (has_nibbles(kind))
        x = _mm256_and_si256(high ? _mm256_srli_epi32(x, 4) : x, _mm256_set1_epi8(15));
    }
  };
  template <Kind kind>
  static void dot(Vector& sum, const Step<kind>& w, Vector a) {
    if constexpr (kind == Kind::f32) {
      sum = multiply_add(w.x, a, sum);
    } else if constexpr (kind == Kind::bf16) {
      sum = multiply_add(w.low, _mm256_slli_epi32(a, 16), sum);
      sum = multiply_add(w.high, _mm256_and_si256(a, _mm256_set1_epi32(int(0xffff0000))), sum);
    } else if constexpr (kind == Kind::q8) {  // no sum of a pair exceeds 16 bits: 128 * 127 * 2
      sum = widen(_mm256_maddubs_epi16(_mm256_abs_epi8(w.x), _mm256_sign_epi8(a, w.x)), sum);
    } else {
      sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(w.x, a));
    }
    asm("" : "+x"(sum));  // else compilers put off the additions of many steps, for which registers are too few
  }
};

template <>
struct Vectors256::Step<Kind::bf16> {
  Vector low, high;
  void load(const uint8_t* p, bool) {
    const Vector x = Vectors256::load(p);
    low = _mm256_slli_epi32(x, 16), high = _mm256_and_si256(x, _mm256_set1_epi32(int(0xffff0000)));
  }
};

}  // namespace

const Kernels kernels_avx2 = kernels_of<Vectors256>;

}  // namespace starloom
