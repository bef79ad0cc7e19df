// Products with avx512: for now the generic ones, compiled for it.
#include "kernels.h"

namespace starloom {

const Kernels kernels_avx512 = kernels_generic;

}  // namespace starloom
