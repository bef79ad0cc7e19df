// The checks of checks.h for single products.
#include <stdexcept>

#include "starloom/checks.h"

namespace starloom {

Epilogue epilogue_named(const std::string& name) {
  if (name == "store") return Epilogue::store;
  if (name == "gelu") return Epilogue::gelu;
  if (name == "add") return Epilogue::add;
  throw std::invalid_argument("there is no epilogue '" + name + "'; known are store, gelu, add");
}

void check_matrix_size(int64_t rows, int64_t columns) {
  constexpr int64_t kMost = 1 << 24;
  if (rows < 0 || rows > kMost)
    throw std::invalid_argument("the matrix has " + std::to_string(rows) + " rows; there may be up to " + std::to_string(kMost));
  if (columns < kBlock || columns > kMost || columns % kBlock != 0)
    throw std::invalid_argument("the matrix has " + std::to_string(columns) + " columns; they must be a multiple of " +
                                std::to_string(kBlock) + ", up to " + std::to_string(kMost));
}

}  // namespace starloom
