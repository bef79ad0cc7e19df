// Which instructions this machine has, and which of them the kernels use.
#pragma once

#include <string>
#include <vector>

namespace starloom {

enum class Isa : int { generic = 0, avx2 = 1, avx512 = 2, vnni = 3 };  // vnni: AVX-512 with VNNI and BF16

std::vector<Isa> available();         // ascending; generic is always there
Isa current();                        // the best available, unless `force` chose another
void force(Isa isa);                  // for tests; throws std::invalid_argument when this machine lacks it
const char* name(Isa isa);

}  // namespace starloom
