// Attention with AVX-512 BF16: queries and probabilities in bf16, sums in float32, two multiply-adds a lane and instruction.
#include "attention_512.h"

namespace starloom {
namespace {

struct Bf16 {
  static constexpr int pair_bytes = 4;
  using Columns = __m512i;

  static Columns columns(const uint8_t* b) { return _mm512_loadu_si512(b); }

  // In assembly, since GCC would keep broadcasts in registers that the sums need.
  static void add(__m512& left_sum, __m512& right_sum, Columns left, Columns right, const uint8_t* pair) {
    const auto& a = *reinterpret_cast<const uint32_t*>(pair);
    asm("vdpbf16ps %2%{1to16%}, %1, %0" : "+v"(left_sum) : "v"(left), "m"(a));
    asm("vdpbf16ps %2%{1to16%}, %1, %0" : "+v"(right_sum) : "v"(right), "m"(a));
  }

  static void put(void* p, int i, __m512 low, __m512 high) {
    _mm512_storeu_si512(static_cast<uint8_t*>(p) + 64 * i, (__m512i)_mm512_cvtne2ps_pbh(high, low));
  }
};

void pack(const float* x, size_t n, float scale, void* packed) {
  const __m512 factor = _mm512_set1_ps(scale);
  for (size_t i = 0; i < n; i += 32)
    Bf16::put(packed, int(i / 32), _mm512_mul_ps(factor, _mm512_loadu_ps(x + i)),
              _mm512_mul_ps(factor, _mm512_loadu_ps(x + i + 16)));
}

}  // namespace

const AttentionKernels attention_vnni = {2, pack, scores<Bf16>, soften<Bf16>, values<Bf16>};

}  // namespace starloom
