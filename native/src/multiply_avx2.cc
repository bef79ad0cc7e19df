// Products with avx2: for now the generic ones, compiled for it.
#include "kernels.h"

namespace starloom {

const Kernels kernels_avx2 = kernels_generic;

}  // namespace starloom
