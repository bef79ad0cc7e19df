// Products with vnni: for now the generic ones, compiled for it.
#include "kernels.h"

namespace starloom {

const Kernels kernels_vnni = kernels_generic;

}  // namespace starloom
