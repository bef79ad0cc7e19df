// Products with AVX-512 that lacks VNNI and BF16.
#include "vectors_512.h"

namespace starloom {

const Kernels kernels_avx512 = kernels_of<Vectors512>;

}  // namespace starloom
