// Rounds float32 matrices to nearest and packs them. Rounding that looks at more than one group is `engine/rounding.py`.
#pragma once

#include "starloom/matrix.h"

namespace starloom {

class Threads;

// weights [rows, columns] into data [matrix_bytes]. q8: scale = largest magnitude / 127; q4: scale = the number of largest
// magnitude / -8, as Q4_0; q4m: from the least number to the largest in 15 steps. Throws std::invalid_argument when a scale
// does not go into 16 bits.
void pack(Kind kind, const float* weights, int rows, int columns, uint8_t* data, Threads& threads);

}  // namespace starloom
