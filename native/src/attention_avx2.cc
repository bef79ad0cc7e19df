// Attention with AVX2: pages are widened as they are read, queries and probabilities stay float32; tiles of 6 rows and 16
// columns, a column a lane.
#include <immintrin.h>

#include <type_traits>

#include "attention_kernels.h"

namespace starloom {
namespace {

constexpr int kPageColumns = 32, kColumns = 16;

float largest(__m256 x) {
  __m128 y = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  y = _mm_max_ps(y, _mm_movehl_ps(y, y));
  return _mm_cvtss_f32(_mm_max_ss(y, _mm_movehdup_ps(y)));
}

float total(__m256 x) {
  __m128 y = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  y = _mm_add_ps(y, _mm_movehl_ps(y, y));
  return _mm_cvtss_f32(_mm_add_ss(y, _mm_movehdup_ps(y)));
}

// 2^x to float32's precision for x <= 0; 0 below -126.
__m256 exp2_256(__m256 x) {
  const __m256 lowest = _mm256_set1_ps(-126.0f), inside = _mm256_cmp_ps(x, lowest, _CMP_GE_OQ);
  x = _mm256_max_ps(x, lowest);
  const __m256 whole = _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const __m256 f = _mm256_sub_ps(x, whole);
  __m256 y = _mm256_set1_ps(1.54035304e-4f);  // the series of 2^f, |f| <= 1/2
  y = _mm256_fmadd_ps(y, f, _mm256_set1_ps(1.33335581e-3f));
  y = _mm256_fmadd_ps(y, f, _mm256_set1_ps(9.61812911e-3f));
  y = _mm256_fmadd_ps(y, f, _mm256_set1_ps(5.55041087e-2f));
  y = _mm256_fmadd_ps(y, f, _mm256_set1_ps(2.40226507e-1f));
  y = _mm256_fmadd_ps(y, f, _mm256_set1_ps(6.93147181e-1f));
  y = _mm256_fmadd_ps(y, f, _mm256_set1_ps(1.0f));
  const __m256i power = _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(whole), _mm256_set1_epi32(127)), 23);
  return _mm256_and_ps(inside, _mm256_mul_ps(y, _mm256_castsi256_ps(power)));
}

float soften(const float* s, int n, int begin, int end, float* maximum, float* sum, void* p) {
  const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  const __m256i first = _mm256_set1_epi32(begin - 1), last = _mm256_set1_epi32(end);
  const __m256 nothing = _mm256_set1_ps(-__builtin_inff());
  __m256 columns[kBlockColumns / 8], highest = _mm256_set1_ps(*maximum);
  for (int i = 0; i < n / 8; ++i) {
    const __m256i at = _mm256_add_epi32(lanes, _mm256_set1_epi32(8 * i));
    const __m256i inside = _mm256_and_si256(_mm256_cmpgt_epi32(at, first), _mm256_cmpgt_epi32(last, at));
    columns[i] = _mm256_blendv_ps(nothing, _mm256_loadu_ps(s + 8 * i), _mm256_castsi256_ps(inside));
    highest = _mm256_max_ps(columns[i], highest);
  }
  const float new_maximum = largest(highest);
  highest = _mm256_set1_ps(new_maximum);
  __m256 weights = _mm256_setzero_ps();
  for (int i = 0; i < n / 8; ++i) {
    const __m256 weight = exp2_256(_mm256_sub_ps(columns[i], highest));
    weights = _mm256_add_ps(weights, weight);
    _mm256_storeu_ps(static_cast<float*>(p) + 8 * i, weight);
  }
  const float rescale = _mm256_cvtss_f32(exp2_256(_mm256_set1_ps(*maximum - new_maximum)));
  *maximum = new_maximum;
  *sum = *sum * rescale + total(weights);
  return rescale;
}

// c [R, 16 columns] = c * rescale + a [R, pairs] x b, where pair j of b lies in page j / page_pairs at multiples of `step` bytes.
// For each pair, what is `asked` bytes further in its `ahead` is asked for.
template <int R>
inline void tile(const float* a, size_t a_stride, int pairs, const uint8_t* const* pages, const uint8_t** ahead, size_t asked,
                 int page_pairs, size_t step, const float* rescale, float* c, size_t c_stride) {
  __m256 sums[R][2];
#pragma GCC unroll 6
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i)
      sums[r][i] = rescale ? _mm256_mul_ps(_mm256_set1_ps(rescale[r]), _mm256_loadu_ps(c + r * c_stride + 8 * i))
                           : _mm256_setzero_ps();
  const __m256 upper = _mm256_castsi256_ps(_mm256_set1_epi32(int(0xffff0000)));
  const auto add = [&](__m256 left, __m256 right, const float* column) {
#pragma GCC unroll 6
    for (int r = 0; r < R; ++r) {
      const __m256 x = _mm256_broadcast_ss(column + r * a_stride);
      sums[r][0] = _mm256_fmadd_ps(x, left, sums[r][0]);
      sums[r][1] = _mm256_fmadd_ps(x, right, sums[r][1]);
    }
  };
  for (; pairs > 0; pairs -= page_pairs, ++pages, ++ahead) {
    const uint8_t *b = *pages, *soon = *ahead;
    for (int j = 0; j < (pairs < page_pairs ? pairs : page_pairs); ++j, b += step, a += 2) {
      _mm_prefetch(reinterpret_cast<const char*>(soon), _MM_HINT_T0);
      soon += asked;
      const auto half = [b](int i) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(b) + i); };
      add(_mm256_castsi256_ps(_mm256_slli_epi32(half(0), 16)), _mm256_castsi256_ps(_mm256_slli_epi32(half(1), 16)), a);
      add(_mm256_and_ps(upper, _mm256_castsi256_ps(half(0))), _mm256_and_ps(upper, _mm256_castsi256_ps(half(1))), a + 1);
    }
    *ahead = soon;
  }
#pragma GCC unroll 6
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) _mm256_storeu_ps(c + r * c_stride + 8 * i, sums[r][i]);
}

// The rows' tiles together ask for 64 bytes a pair: evenly, for memory can give only so many lines at once.
void product(const float* a, size_t a_stride, int rows, int pairs, const uint8_t* const* pages, const uint8_t** ahead,
             int page_pairs, size_t step, const float* rescale, float* c, size_t c_stride) {
  const int all = rows;
  const auto run = [&]<int R>(std::integral_constant<int, R>) {
    tile<R>(a, a_stride, pairs, pages, ahead, size_t(4 * kColumns * R / all), page_pairs, step, rescale, c, c_stride);
    a += R * a_stride, c += R * c_stride, rows -= R;
    if (rescale) rescale += R;
  };
  while (rows >= 6) run(std::integral_constant<int, 6>());
  if (rows >= 3) run(std::integral_constant<int, 3>());
  if (rows >= 2) run(std::integral_constant<int, 2>());
  if (rows >= 1) run(std::integral_constant<int, 1>());
}

void scores(const void* q, int rows, int, int dim, const uint8_t* keys, const uint8_t* ahead, float* s) {
  const uint8_t* soon = ahead ? ahead : keys;
  for (int c = 0; c < kPageColumns; c += kColumns) {
    const uint8_t* columns = keys + 4 * c;
    product(static_cast<const float*>(q), dim, rows, dim / 2, &columns, &soon, dim / 2, 4 * kPageColumns, nullptr, s + c,
            kBlockColumns);
  }
}

void values(const void* p, int rows, int, int n, int dim, const uint8_t* const* pages, const uint8_t* const* ahead,
            const float* rescale, float* out) {
  const uint8_t *from[kBlockPages], *soon[kBlockPages];
  const int count = (n + kPageColumns - 1) / kPageColumns;
  for (int i = 0; i < count; ++i) soon[i] = ahead[i] ? ahead[i] : pages[i];
  for (int d = 0; d < dim; d += kColumns) {
    for (int i = 0; i < count; ++i) from[i] = pages[i] + 4 * d;
    product(static_cast<const float*>(p), kBlockColumns, rows, (n + 1) / 2, from, soon, kPageColumns / 2, size_t(4) * dim,
            rescale, out + d, dim);
  }
}

void pack(const float* x, size_t n, float scale, void* packed) {
  const __m256 factor = _mm256_set1_ps(scale);
  for (size_t i = 0; i < n; i += 8)
    _mm256_storeu_ps(static_cast<float*>(packed) + i, _mm256_mul_ps(factor, _mm256_loadu_ps(x + i)));
}

}  // namespace

const AttentionKernels attention_avx2 = {4, pack, scores, soften, values};

}  // namespace starloom
