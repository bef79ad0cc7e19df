// What comes from Python is checked here, so that bad input never reaches the kernels. All throw std::invalid_argument with a
// sentence that says what was wrong, the value, and what would work.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "starloom/model.h"

namespace starloom {

struct Stored {  // a tensor in a packed file; kind "vector" is float32 [rows]
  std::string kind;
  int64_t rows, columns, offset;
};

Kind kind_named(const std::string& name);
Epilogue epilogue_named(const std::string& name);  // "store", "gelu", "add"

constexpr size_t kMostRows = size_t(1) << 20;              // of activations
void check_matrix_size(int64_t rows, int64_t columns);  // of one packed matrix

Config make_config(const std::unordered_map<std::string, double>& values);

// A model over `data`, which must outlive it.
Model make_model(const Config& config, const uint8_t* data, size_t size, const std::unordered_map<std::string, Stored>& tensors);

Pages make_pages(int64_t layers, int64_t kv_heads, int64_t head_dim, int64_t count, bool wide);  // without memory

// A step's arguments as they came; spans of int32.
struct Numbers {
  const int32_t* data;
  size_t size;
  int64_t operator[](size_t i) const { return data[i]; }
};

// The parts over `tables` (whose memory they keep pointing into). `window` 0: all keys are seen.
std::vector<Part> make_parts(Numbers row_starts, Numbers positions, Numbers tables, Numbers table_starts, size_t rows,
                             const Pages& pages, int window);
void check_ids(Numbers ids, int vocab_size);
void check_logit_rows(Numbers logit_rows, size_t rows);  // ascending

}  // namespace starloom
