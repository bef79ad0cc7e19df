// Grouped-query attention over a paged cache of keys and values.
//
// Legend: T new positions of one sequence, H query heads, G key-value heads, D head dimension, P = kPage positions a page.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "starloom/buffer.h"

namespace starloom {

class Threads;

constexpr int kPage = 32, kMaxHeadDim = 256;  // D is a multiple of 32

// All pages of all layers. Page p of layer l: for each key-value head, keys [D/2][P][2] then values [P/2][D][2], in bf16
// (or float32, for comparisons with an exact oracle). Keys are stored after RoPE.
struct Pages {
  int layers, kv_heads, head_dim;
  bool wide;  // float32 instead of bf16
  size_t count;
  uint8_t* data;  // [page][layer][kv head]{keys, values}: a page of all layers lies together, so that it is copied as one
  size_t head_bytes() const { return size_t(2) * kPage * head_dim * (wide ? 4 : 2); }
  size_t page_bytes() const { return head_bytes() * kv_heads * layers; }
  uint8_t* keys(int page, int layer, int head) const {
    return data + size_t(page) * page_bytes() + (size_t(layer) * kv_heads + head) * head_bytes();
  }
};

// One sequence's part of a step: rows [first_row, first_row + count) of the step are its positions from `position` on.
// `table[i]` is the page of positions [32 i, 32 i + 32), or -1 where the sliding window has passed it.
struct Part {
  int first_row, count, position;
  const int32_t* table;
};

inline int first_seen(int position, int window) { return window == 0 || position < window ? 0 : position - window + 1; }

// Cosines and sines of a step's rows, [rows, D/2] each: angles position * theta^(-2i/D) in float32.
struct Rope {
  std::vector<float> cosines, sines;
  void fill(const std::vector<Part>& parts, int head_dim, double theta);
};

// Turns queries and keys of qkv [rows, (H + 2 G) D] by their positions' angles, in place; puts keys and values into pages.
void rotate_and_keep(const Pages& pages, int layer, float* qkv, int heads, const Rope& rope, const std::vector<Part>& parts,
                     Threads& threads);

// Who computes what of a step's attention: made once, used for every layer. A task is a tile of query rows with all heads of
// one key-value head, over a range of sections of pages; where a tile has several ranges, the last to finish folds their
// sections. A row's result is the same to the last bit whatever else is in the step and however many threads there are.
class AttentionPlan {
 public:
  // `window`: keys a query sees, itself among them; 0 for all.
  void lay(const std::vector<Part>& parts, int heads, const Pages& pages, int window, int threads);
  // out [rows, H D] for the parts' rows, from qkv as `rotate_and_keep` left it.
  void attend(const Pages& pages, int layer, const float* qkv, float* out, Threads& threads);

 private:
  struct Task {
    Part part;  // of the rows of this tile alone
    int group, page_begin, page_end;
    int tile;                             // counts those with several ranges
    int first_section, sections, ranges;  // of the tile
  };
  struct Workspace;
  void add_tile(const Part& tile, int group, int ranges);
  void run(const Task& task, const Pages& pages, int layer, const float* qkv, float* out, uint8_t* memory) const;
  void run_section(const Task& task, int first, int end, const Pages& pages, int layer, const Workspace& w) const;
  void keep(const Task& task, int section, const Workspace& w) const;
  void fold(const Task& task, const float* part, const float* maxima, const float* sums, bool is_first, const Workspace& w,
            float* out) const;
  float* row_of(const Task& task, int r, float* out) const;
  size_t partial_size() const { return size_t(tile_rows_) * group_heads_ * (dim_ + 2); }  // {out [R, D], maxima, sums [R]}
  float* partial(const Task& task, int section) const;

  int heads_ = 0, group_heads_ = 0, dim_ = 0, window_ = 0, tile_rows_ = 0, divided_ = 0, most_sections_ = 1;
  size_t work_ = 0;
  std::vector<Task> tasks_;
  std::unique_ptr<std::atomic<int>[]> finished_;  // ranges of each divided tile
  int room_ = 0;                                  // for counters in `finished_`
  float* partials_ = nullptr;
  uint8_t* memory_ = nullptr;  // [threads]
  Buffer partial_buffer_, buffer_;
};

}  // namespace starloom
