// Grouped-query attention over a paged cache of keys and values.
//
// Legend: T new positions of one sequence, H query heads, G key-value heads, D head dimension, P = kPage positions a page.
#pragma once

#include <cstddef>
#include <cstdint>

namespace starloom {

class Threads;

constexpr int kPage = 32;

// All pages of all layers. Page p of layer l: for each key-value head, keys [D/2][P][2] then values [P/2][D][2], in bf16
// (or float32, for comparisons with an exact oracle). Keys are stored after RoPE.
struct Pages {
  int layers, kv_heads, head_dim;
  bool wide;  // float32 instead of bf16
  size_t count;
  uint8_t* data;  // [page][layer][kv head]{keys, values}: a page of all layers lies together, so that it is copied as one
  size_t head_bytes() const { return size_t(2) * kPage * head_dim * (wide ? 4 : 2); }
  size_t page_bytes() const { return head_bytes() * kv_heads * layers; }
};

// One sequence's part of a step: rows [first_row, first_row + count) of the step are its positions from `position` on.
// `table[i]` is the page of positions [32 i, 32 i + 32), or -1 where the sliding window has passed it.
struct Part {
  int first_row, count, position;
  const int32_t* table;
};

}  // namespace starloom
