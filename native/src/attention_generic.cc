// Attention's kernels in plain C++, for bf16 pages and for float32 ("wide") pages; queries and probabilities stay float32.
#include <cmath>

#include "attention_kernels.h"
#include "numbers.h"
#include "starloom/attention.h"

namespace starloom {
namespace {

float widen(float x) { return x; }
float widen(uint16_t x) { return from_bf16(x); }

void pack(const float* x, size_t n, float scale, void* packed) {
  for (size_t i = 0; i < n; ++i) static_cast<float*>(packed)[i] = x[i] * scale;
}

template <class T>
void scores(const void* q, int rows, int, int dim, const uint8_t* keys, const uint8_t*, float* s) {
  const T* key = reinterpret_cast<const T*>(keys);
  for (int r = 0; r < rows; ++r, s += kBlockColumns) {
    const float* query = static_cast<const float*>(q) + size_t(r) * dim;
    for (int c = 0; c < kPage; ++c) s[c] = 0;
    for (int d = 0; d < dim; d += 2)
      for (int c = 0; c < kPage; ++c)
        s[c] += query[d] * widen(key[d * kPage + 2 * c]) + query[d + 1] * widen(key[d * kPage + 2 * c + 1]);
  }
}

float soften(const float* s, int n, int begin, int end, float* maximum, float* sum, void* p) {
  float highest = *maximum, total = 0;
  for (int c = begin; c < end; ++c) highest = s[c] > highest ? s[c] : highest;
  for (int c = 0; c < n; ++c) {
    const float weight = c >= begin && c < end ? std::exp2(s[c] - highest) : 0.0f;
    static_cast<float*>(p)[c] = weight;
    total += weight;
  }
  const float rescale = std::exp2(*maximum - highest);
  *maximum = highest;
  *sum = *sum * rescale + total;
  return rescale;
}

template <class T>
void values(const void* p, int rows, int, int n, int dim, const uint8_t* const* pages, const uint8_t* const*,
            const float* rescale, float* out) {
  for (int r = 0; r < rows; ++r, out += dim) {
    const float* weight = static_cast<const float*>(p) + size_t(r) * kBlockColumns;
    for (int d = 0; d < dim; ++d) out[d] *= rescale[r];
    for (int c = 0; c < n; c += 2) {
      const T* value = reinterpret_cast<const T*>(pages[c / kPage]) + size_t(c % kPage) * dim;
      for (int d = 0; d < dim; ++d) out[d] += weight[c] * widen(value[2 * d]) + weight[c + 1] * widen(value[2 * d + 1]);
    }
  }
}

}  // namespace

const AttentionKernels attention_generic = {4, pack, scores<uint16_t>, soften, values<uint16_t>};
const AttentionKernels attention_wide = {4, pack, scores<float>, soften, values<float>};

}  // namespace starloom
