// The plan of attention.h and its execution: tiles of query rows, online softmax over blocks of pages, ranges merged at the
// end. The arithmetic is in the kernels of each instruction set.
#include "starloom/attention.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "attention_kernels.h"
#include "starloom/isa.h"
#include "starloom/threads.h"

namespace starloom {
namespace {

constexpr int kTile = 96;                   // rows times heads: they fit into the second cache with scores and output
constexpr int kRangePages = 8;              // the least worth a task of its own
constexpr size_t kAlone = size_t(1) << 17;  // multiply-adds below which other threads are not worth waking

const AttentionKernels& kernels_for(const Pages& pages) {
  if (pages.wide) return attention_wide;
#if defined(__x86_64__)
  switch (current()) {
    case Isa::vnni: return attention_vnni;
    case Isa::avx512: return attention_avx512;
    case Isa::avx2: return attention_avx2;
    case Isa::generic: break;
  }
#endif
  return attention_generic;
}

}  // namespace

// A thread's memory; rows R are [query row][head of the group].
struct AttentionPlan::Workspace {
  float *scores, *out, *maxima, *sums, *rescales;
  void *queries, *probabilities;

  static size_t bytes(size_t rows, int dim) { return rows_of_16(rows) * (2 * dim + 2 * kBlockColumns + 3) * sizeof(float); }
  static size_t rows_of_16(size_t rows) { return (rows + 15) / 16 * 16; }

  Workspace(uint8_t* memory, size_t rows, int dim) {
    float* next = reinterpret_cast<float*>(memory);
    const auto take = [&next, count = rows_of_16(rows)](size_t width) { return std::exchange(next, next + count * width); };
    queries = take(dim), probabilities = take(kBlockColumns), scores = take(kBlockColumns), out = take(dim);
    maxima = take(1), sums = take(1), rescales = take(1);
  }
};

void AttentionPlan::lay(const std::vector<Part>& parts, int heads, const Pages& pages, int window, int threads) {
  heads_ = heads, group_heads_ = heads / pages.kv_heads, dim_ = pages.head_dim, window_ = window;
  tile_rows_ = std::max(1, kTile / group_heads_);
  tasks_.clear();
  work_ = 0, divided_ = 0, most_ranges_ = 1;
  int tiles = 0;
  for (const Part& part : parts) tiles += (part.count + tile_rows_ - 1) / tile_rows_ * pages.kv_heads;
  const int ranges = threads == 1 || tiles == 0 ? 1 : (4 * threads + tiles - 1) / tiles;
  for (const Part& part : parts)
    for (int end = part.count; end > 0; end -= std::min(end, tile_rows_)) {  // long tiles first
      const int begin = std::max(0, end - tile_rows_);
      const Part tile = {part.first_row + begin, end - begin, part.position + begin, part.table};
      for (int group = 0; group < pages.kv_heads; ++group) add_tile(tile, group, ranges);
    }
  if (divided_ > room_) finished_ = std::make_unique<std::atomic<int>[]>(room_ = divided_);
  partials_ = partial_buffer_.get<float>(size_t(divided_) * most_ranges_ * partial_size());
  memory_ = buffer_.get<uint8_t>(threads * Workspace::bytes(size_t(tile_rows_) * group_heads_, dim_));
}

void AttentionPlan::add_tile(const Part& tile, int group, int ranges) {
  const int begin = first_seen(tile.position, window_) / kPage, end = (tile.position + tile.count - 1) / kPage + 1;
  work_ += size_t(tile.count) * group_heads_ * dim_ * size_t(end - begin) * kPage;
  ranges = std::clamp((end - begin) / kRangePages, 1, ranges);
  most_ranges_ = std::max(most_ranges_, ranges);
  const int index = ranges == 1 ? -1 : divided_++;
  for (int r = 0; r < ranges; ++r) {
    const auto border = [&](int i) { return begin + int(int64_t(end - begin) * i / ranges); };
    tasks_.push_back({tile, group, border(r), border(r + 1), index, r, ranges});
  }
}

void AttentionPlan::attend(const Pages& pages, int layer, const float* qkv, float* out, Threads& threads) {
  const size_t bytes = Workspace::bytes(size_t(tile_rows_) * group_heads_, dim_);
  const auto task = [&](size_t i, int thread) { run(tasks_[i], pages, layer, qkv, out, memory_ + thread * bytes); };
  if (work_ >= kAlone) return threads.run(tasks_.size(), task);
  for (size_t i = 0; i < tasks_.size(); ++i) task(i, 0);
}

void AttentionPlan::run(const Task& task, const Pages& pages, int layer, const float* qkv, float* out, uint8_t* memory) const {
  const AttentionKernels& kernels = kernels_for(pages);
  const Part& part = task.part;
  const int rows = part.count * group_heads_;
  const Workspace w(memory, size_t(tile_rows_) * group_heads_, dim_);
  const size_t stride = size_t(heads_ + 2 * pages.kv_heads) * dim_, row_numbers = size_t(group_heads_) * dim_;
  const float scale = float(std::numbers::log2e / std::sqrt(double(dim_)));
  for (int t = 0; t < part.count; ++t)
    kernels.pack(qkv + (part.first_row + t) * stride + task.group * row_numbers, row_numbers, scale,
                 static_cast<uint8_t*>(w.queries) + t * row_numbers * kernels.element);
  std::fill_n(w.out, size_t(rows) * dim_, 0.0f);
  std::fill_n(w.maxima, rows, kLowest);
  std::fill_n(w.sums, rows, 0.0f);

  const size_t values_offset = pages.head_bytes() / 2;
  const auto keys_of = [&](int page) -> const uint8_t* {
    return page < task.page_end ? pages.keys(part.table[page], layer, task.group) : nullptr;
  };
  for (int first = task.page_begin; first < task.page_end; first += kBlockPages) {
    const int count = std::min(kBlockPages, task.page_end - first);
    const uint8_t *values[kBlockPages], *ahead[kBlockPages];
    for (int i = 0; i < count; ++i) {
      const uint8_t *keys = keys_of(first + i), *soon = keys_of(first + i + kBlockPages);
      kernels.scores(w.queries, rows, dim_, keys, soon, w.scores + i * kPage);
      values[i] = keys + values_offset;
      ahead[i] = soon ? soon + values_offset : nullptr;
    }
    const int origin = first * kPage, columns = std::min(count * kPage, part.position + part.count - origin);
    for (int r = 0; r < rows; ++r) {
      const int position = part.position + r / group_heads_;
      const int begin = std::max(0, first_seen(position, window_) - origin), end = std::min(columns, position + 1 - origin);
      w.rescales[r] = kernels.soften(w.scores + r * kBlockColumns, count * kPage, begin, std::max(begin, end), w.maxima + r,
                                     w.sums + r, static_cast<uint8_t*>(w.probabilities) + r * kBlockColumns * kernels.element);
    }
    kernels.values(w.probabilities, rows, columns, dim_, values, ahead, w.rescales, w.out);
  }
  finish(task, w, out);
}

// Writes a tile's output, or keeps a range's and lets the last range merge all.
void AttentionPlan::finish(const Task& task, const Workspace& w, float* out) const {
  const int rows = task.part.count * group_heads_;
  if (task.ranges == 1) {
    for (int r = 0; r < rows; ++r) {
      const size_t row = task.part.first_row + r / group_heads_, head = task.group * group_heads_ + r % group_heads_;
      float* y = out + (row * heads_ + head) * dim_;
      const float scale = 1.0f / w.sums[r];
      for (int d = 0; d < dim_; ++d) y[d] = w.out[size_t(r) * dim_ + d] * scale;
    }
    return;
  }
  float* kept = partial(task, task.range);
  std::copy_n(w.out, size_t(rows) * dim_, kept);
  std::copy_n(w.maxima, rows, kept + size_t(rows) * dim_);
  std::copy_n(w.sums, rows, kept + size_t(rows) * (dim_ + 1));
  if (finished_[task.tile].fetch_add(1) + 1 != task.ranges) return;
  finished_[task.tile].store(0);
  merge(task, out);
}

void AttentionPlan::merge(const Task& task, float* out) const {
  const int rows = task.part.count * group_heads_;
  for (int r = 0; r < rows; ++r) {
    const size_t row = task.part.first_row + r / group_heads_, head = task.group * group_heads_ + r % group_heads_;
    float* y = out + (row * heads_ + head) * dim_;
    float maximum = kLowest, sum = 0;
    for (int i = 0; i < task.ranges; ++i) maximum = std::max(maximum, partial(task, i)[size_t(rows) * dim_ + r]);
    std::fill_n(y, dim_, 0.0f);
    for (int i = 0; i < task.ranges; ++i) {
      const float* kept = partial(task, i);
      const float weight = std::exp2(kept[size_t(rows) * dim_ + r] - maximum);
      sum += weight * kept[size_t(rows) * (dim_ + 1) + r];
      for (int d = 0; d < dim_; ++d) y[d] += weight * kept[size_t(r) * dim_ + d];
    }
    for (int d = 0; d < dim_; ++d) y[d] /= sum;
  }
}

float* AttentionPlan::partial(const Task& task, int range) const {
  return partials_ + (size_t(task.tile) * most_ranges_ + range) * partial_size();
}

}  // namespace starloom
