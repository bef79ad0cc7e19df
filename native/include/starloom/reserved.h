// Zeroed memory that is reserved at once and used (counted by the system) only as it is written.
#pragma once

#include <cstddef>
#include <cstdint>

namespace starloom {

class Reserved {
 public:
  explicit Reserved(size_t bytes);  // throws std::bad_alloc
  ~Reserved();
  Reserved(const Reserved&) = delete;
  Reserved& operator=(const Reserved&) = delete;
  uint8_t* data() const { return data_; }

 private:
  uint8_t* data_;
  size_t bytes_;
};

}  // namespace starloom
