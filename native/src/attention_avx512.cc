// Attention with AVX-512 without BF16: pages are widened as they are read, queries and probabilities stay float32.
#include "attention_512.h"

namespace starloom {
namespace {

struct Float {
  static constexpr int pair_bytes = 8;
  struct Columns {
    __m512 first, second;  // of each pair
  };

  static Columns columns(const uint8_t* b) {
    const __m512i pairs = _mm512_loadu_si512(b);
    return {_mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16)),
            _mm512_castsi512_ps(_mm512_and_si512(pairs, _mm512_set1_epi32(int(0xffff0000))))};
  }

  static void add(__m512& left_sum, __m512& right_sum, const Columns& left, const Columns& right, const uint8_t* pair) {
    const float* a = reinterpret_cast<const float*>(pair);
    const __m512 first = _mm512_set1_ps(a[0]), second = _mm512_set1_ps(a[1]);
    left_sum = _mm512_fmadd_ps(second, left.second, _mm512_fmadd_ps(first, left.first, left_sum));
    right_sum = _mm512_fmadd_ps(second, right.second, _mm512_fmadd_ps(first, right.first, right_sum));
  }

  static void put(void* p, int i, __m512 low, __m512 high) {
    _mm512_storeu_ps(static_cast<float*>(p) + 32 * i, low);
    _mm512_storeu_ps(static_cast<float*>(p) + 32 * i + 16, high);
  }
};

void pack(const float* x, size_t n, float scale, void* packed) {
  const __m512 factor = _mm512_set1_ps(scale);
  for (size_t i = 0; i < n; i += 16)
    _mm512_storeu_ps(static_cast<float*>(packed) + i, _mm512_mul_ps(factor, _mm512_loadu_ps(x + i)));
}

}  // namespace

const AttentionKernels attention_avx512 = {4, pack, scores<Float>, soften<Float>, values<Float>};

}  // namespace starloom
