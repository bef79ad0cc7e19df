// Products with AVX-512 VNNI and BF16.
#include "vectors_512.h"

namespace starloom {
namespace {

struct VectorsVnni : Vectors512 {
  template <Kind kind>
  static constexpr bool kSigned = false;
  template <Kind kind>
  static constexpr bool kNarrow = false;

  template <Kind kind>
  struct Step : Vectors512::Step<Kind::f32> {
    void load(const uint8_t* p, bool high) {
      x = Vectors512::load(p);
      if constexpr (has_nibbles(kind))
        x = _mm512_and_si512(high ? _mm512_srli_epi32(x, 4) : x, _mm512_set1_epi8(15));
      if constexpr (kind == Kind::q8) x = _mm512_xor_si512(x, _mm512_set1_epi8(-128));
    }
  };
  template <Kind kind>
  static void dot(Vector& sum, const Step<kind>& w, Vector a) {
    if constexpr (kind == Kind::f32)
      sum = multiply_add(w.x, a, sum);
    else if constexpr (kind == Kind::bf16)
      sum = _mm512_castps_si512(_mm512_dpbf16_ps(_mm512_castsi512_ps(sum), (__m512bh)w.x, (__m512bh)a));
    else
      sum = _mm512_dpbusd_epi32(sum, w.x, a);
  }
};

}  // namespace

const Kernels kernels_vnni = kernels_of<VectorsVnni>;

}  // namespace starloom
