// What attention's AVX-512 kernels share, with and without BF16: the softmax, and one product in which every column of a page
// stays in its lane. Included by one file an instruction set, hence the nameless namespace.
#pragma once

#include <immintrin.h>

#include "attention_kernels.h"

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // GCC 12 takes its own intrinsics' undefined lanes for a mistake
#endif

namespace starloom {
namespace {

constexpr int kPageColumns = 32;  // also the columns of one tile of a product

// 2^x to float32's precision for x <= 0; 0 below -150.
inline __m512 exp2_512(__m512 x) {
  x = _mm512_max_ps(x, _mm512_set1_ps(-200.0f));
  const __m512 whole = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const __m512 f = _mm512_sub_ps(x, whole);
  __m512 y = _mm512_set1_ps(1.54035304e-4f);  // the series of 2^f, |f| <= 1/2
  y = _mm512_fmadd_ps(y, f, _mm512_set1_ps(1.33335581e-3f));
  y = _mm512_fmadd_ps(y, f, _mm512_set1_ps(9.61812911e-3f));
  y = _mm512_fmadd_ps(y, f, _mm512_set1_ps(5.55041087e-2f));
  y = _mm512_fmadd_ps(y, f, _mm512_set1_ps(2.40226507e-1f));
  y = _mm512_fmadd_ps(y, f, _mm512_set1_ps(6.93147181e-1f));
  y = _mm512_fmadd_ps(y, f, _mm512_set1_ps(1.0f));
  return _mm512_scalef_ps(y, whole);
}

template <class Element>
float soften(const float* s, int n, int begin, int end, float* maximum, float* sum, void* p) {
  const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const __m512i seen = _mm512_set1_epi32(end - begin);
  const __m512 nothing = _mm512_set1_ps(-__builtin_inff());
  __m512 columns[kBlockColumns / 16], highest = _mm512_set1_ps(*maximum);
  for (int i = 0; i < n / 16; ++i) {
    const __mmask16 inside = _mm512_cmplt_epu32_mask(_mm512_add_epi32(lanes, _mm512_set1_epi32(16 * i - begin)), seen);
    columns[i] = _mm512_mask_loadu_ps(nothing, inside, s + 16 * i);
    highest = _mm512_max_ps(columns[i], highest);
  }
  const float new_maximum = _mm512_reduce_max_ps(highest);
  highest = _mm512_set1_ps(new_maximum);
  __m512 total = _mm512_setzero_ps();
  for (int i = 0; i < n / 16; i += 2) {
    const __m512 a = exp2_512(_mm512_sub_ps(columns[i], highest)), b = exp2_512(_mm512_sub_ps(columns[i + 1], highest));
    total = _mm512_add_ps(total, _mm512_add_ps(a, b));
    Element::put(p, i / 2, a, b);
  }
  const float rescale = _mm512_cvtss_f32(exp2_512(_mm512_set1_ps(*maximum - new_maximum)));
  *maximum = new_maximum;
  *sum = *sum * rescale + _mm512_reduce_add_ps(total);
  return rescale;
}

// c [R, 32 columns] = c * rescale + a [R, pairs] x b, where pair j of b lies in page j / page_pairs at multiples of `step` bytes.
// A column has `turns` sums, of pairs in turn: where heads are few, one sum would wait for itself.
template <class Element, int R, int turns>
inline void tile(const uint8_t* a, size_t a_stride, int pairs, const uint8_t* const* pages, const uint8_t* const* ahead,
                 int page_pairs, size_t step, const float* rescale, float* c, size_t c_stride) {
  __m512 sums[turns][R][2];
#pragma GCC unroll 4
  for (int t = 0; t < turns; ++t)
#pragma GCC unroll 12
    for (int r = 0; r < R; ++r) {
      const bool on = rescale != nullptr && t == 0;
      const __m512 factor = on ? _mm512_set1_ps(rescale[r]) : _mm512_setzero_ps();
      sums[t][r][0] = on ? _mm512_mul_ps(factor, _mm512_loadu_ps(c + r * c_stride)) : factor;
      sums[t][r][1] = on ? _mm512_mul_ps(factor, _mm512_loadu_ps(c + r * c_stride + 16)) : factor;
    }
  for (; pairs > 0; pairs -= page_pairs, ++pages, ++ahead) {
    const uint8_t *b = *pages, *soon = *ahead ? *ahead : *pages;
    const auto add = [&](auto& sum) {
      const typename Element::Columns left = Element::columns(b), right = Element::columns(b + 64);
      _mm_prefetch(reinterpret_cast<const char*>(soon), _MM_HINT_T0);
      _mm_prefetch(reinterpret_cast<const char*>(soon) + 64, _MM_HINT_T0);
#pragma GCC unroll 12
      for (int r = 0; r < R; ++r) Element::add(sum[r][0], sum[r][1], left, right, a + r * a_stride);
      b += step, soon += step, a += Element::pair_bytes;
    };
    int rest = pairs < page_pairs ? pairs : page_pairs;
    for (; rest >= turns; rest -= turns)
#pragma GCC unroll 4
      for (int t = 0; t < turns; ++t) add(sums[t]);
#pragma GCC unroll 4
    for (int t = 0; t < turns; ++t)
      if (t < rest) add(sums[t]);
  }
#pragma GCC unroll 12
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) {
      __m512 sum = sums[0][r][i];
#pragma GCC unroll 4
      for (int t = 1; t < turns; ++t) sum = _mm512_add_ps(sum, sums[t][r][i]);
      _mm512_storeu_ps(c + r * c_stride + 16 * i, sum);
    }
}

template <class Element, int turns>
void product(const uint8_t* a, size_t a_stride, int rows, int pairs, const uint8_t* const* pages, const uint8_t* const* ahead,
             int page_pairs, size_t step, const float* rescale, float* c, size_t c_stride) {
  constexpr int most = 12 / turns;
  const auto next = [&](int done) {
    a += done * a_stride, c += done * c_stride, rows -= done;
    if (rescale) rescale += done;
  };
  const auto run = [&](auto kernel) { kernel(a, a_stride, pairs, pages, ahead, page_pairs, step, rescale, c, c_stride); };
  for (; rows >= most; next(most)) run(tile<Element, most, turns>);
  if constexpr (most > 9)
    if (rows >= 9) run(tile<Element, 9, turns>), next(9);
  if constexpr (most > 6)
    if (rows >= 6) run(tile<Element, 6, turns>), next(6);
  if constexpr (most > 4)
    if (rows >= 4) run(tile<Element, 4, turns>), next(4);
  if (rows >= 2) run(tile<Element, 2, turns>), next(2);
  if (rows >= 1) run(tile<Element, 1, turns>);
}

// The number of sums follows from the model alone, so that a row's result does not depend on the rows beside it.
template <class Element, class... Rest>
void product_for(int heads, Rest... rest) {
  if (heads <= 2) return product<Element, 4>(rest...);
  if (heads <= 4) return product<Element, 2>(rest...);
  product<Element, 1>(rest...);
}

template <class Element>
void scores(const void* q, int rows, int heads, int dim, const uint8_t* keys, const uint8_t* ahead, float* s) {
  product_for<Element>(heads, static_cast<const uint8_t*>(q), size_t(dim / 2) * Element::pair_bytes, rows, dim / 2, &keys,
                       &ahead, dim / 2, size_t(4) * kPageColumns, static_cast<const float*>(nullptr), s, size_t(kBlockColumns));
}

template <class Element>
void values(const void* p, int rows, int heads, int n, int dim, const uint8_t* const* pages, const uint8_t* const* ahead,
            const float* rescale, float* out) {
  const uint8_t *from[kBlockPages], *soon[kBlockPages];
  const int count = (n + kPageColumns - 1) / kPageColumns;
  for (int d = 0; d < dim; d += kPageColumns) {
    for (int i = 0; i < count; ++i) from[i] = pages[i] + 4 * d, soon[i] = ahead[i] ? ahead[i] + 4 * d : nullptr;
    product_for<Element>(heads, static_cast<const uint8_t*>(p), size_t(kBlockColumns / 2) * Element::pair_bytes, rows,
                         (n + 1) / 2, from, soon, kPageColumns / 2, size_t(4) * dim, rescale, out + d, size_t(dim));
  }
}

}  // namespace
}  // namespace starloom
