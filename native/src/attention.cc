// The plan of attention.h and its execution: tiles of query rows, online softmax over blocks of pages within sections, sections
// folded in their order. Where blocks and sections begin depends on positions alone, so that a row's result does not depend on
// its tile or on who computes what. The arithmetic is in the kernels of each instruction set.
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
constexpr int kSectionPages = 16;           // the least worth a task of its own; a multiple of kBlockPages
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
  float *scores, *out, *maxima, *sums, *rescales, *all_maxima, *all_sums;  // of a section, and of all that are folded
  void *queries, *probabilities;

  static size_t bytes(size_t rows, int dim) { return rows_of_16(rows) * (2 * dim + 2 * kBlockColumns + 5) * sizeof(float); }
  static size_t rows_of_16(size_t rows) { return (rows + 15) / 16 * 16; }

  Workspace(uint8_t* memory, size_t rows, int dim) {
    float* next = reinterpret_cast<float*>(memory);
    const auto take = [&next, count = rows_of_16(rows)](size_t width) { return std::exchange(next, next + count * width); };
    queries = take(dim), probabilities = take(kBlockColumns), scores = take(kBlockColumns), out = take(dim);
    maxima = take(1), sums = take(1), rescales = take(1), all_maxima = take(1), all_sums = take(1);
  }
};

void AttentionPlan::lay(const std::vector<Part>& parts, int heads, const Pages& pages, int window, int threads) {
  heads_ = heads, group_heads_ = heads / pages.kv_heads, dim_ = pages.head_dim, window_ = window;
  tile_rows_ = std::max(1, kTile / group_heads_);
  tasks_.clear();
  work_ = 0, divided_ = 0, most_sections_ = 1;
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
  partials_ = partial_buffer_.get<float>(size_t(divided_) * most_sections_ * partial_size());
  memory_ = buffer_.get<uint8_t>(threads * Workspace::bytes(size_t(tile_rows_) * group_heads_, dim_));
}

void AttentionPlan::add_tile(const Part& tile, int group, int ranges) {
  const int begin = first_seen(tile.position, window_) / kPage, end = (tile.position + tile.count - 1) / kPage + 1;
  work_ += size_t(tile.count) * group_heads_ * dim_ * size_t(end - begin) * kPage;
  const int first = begin / kSectionPages, sections = (end - 1) / kSectionPages + 1 - first;
  ranges = std::clamp(sections, 1, ranges);
  const int index = ranges == 1 ? -1 : divided_++;
  if (ranges > 1) most_sections_ = std::max(most_sections_, sections);
  for (int r = 0; r < ranges; ++r) {
    const auto border = [&](int i) {
      return std::clamp((first + int(int64_t(sections) * i / ranges)) * kSectionPages, begin, end);
    };
    tasks_.push_back({tile, group, border(r), r + 1 < ranges ? border(r + 1) : end, index, first, sections, ranges});
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
  for (int first = task.page_begin; first < task.page_end;) {
    const int end = std::min(task.page_end, (first / kSectionPages + 1) * kSectionPages);
    run_section(task, first, end, pages, layer, w);
    if (task.ranges == 1)
      fold(task, w.out, w.maxima, w.sums, first == task.page_begin, w, out);
    else
      keep(task, first / kSectionPages - task.first_section, w);
    first = end;
  }
  if (task.ranges > 1) {
    if (finished_[task.tile].fetch_add(1) + 1 != task.ranges) return;
    finished_[task.tile].store(0);
    for (int i = 0; i < task.sections; ++i) {
      const float* kept = partial(task, i);
      fold(task, kept, kept + size_t(rows) * dim_, kept + size_t(rows) * (dim_ + 1), i == 0, w, out);
    }
  }
  for (int r = 0; r < rows; ++r) {
    float* y = row_of(task, r, out);
    const float scale = 1.0f / w.all_sums[r];
    for (int d = 0; d < dim_; ++d) y[d] *= scale;
  }
}

// Pages from `first` to before `end` of one section: output, maxima and sums of all rows into the workspace.
void AttentionPlan::run_section(const Task& task, int first, int end, const Pages& pages, int layer, const Workspace& w) const {
  const AttentionKernels& kernels = kernels_for(pages);
  const Part& part = task.part;
  const int rows = part.count * group_heads_;
  std::fill_n(w.out, size_t(rows) * dim_, 0.0f);
  std::fill_n(w.maxima, rows, kLowest);
  std::fill_n(w.sums, rows, 0.0f);

  const size_t values_offset = pages.head_bytes() / 2;
  const auto keys_of = [&](int page) -> const uint8_t* {
    return page < task.page_end ? pages.keys(part.table[page], layer, task.group) : nullptr;
  };
  for (int count; first < end; first += count) {
    count = std::min(end, (first / kBlockPages + 1) * kBlockPages) - first;
    const uint8_t *values[kBlockPages], *ahead[kBlockPages];
    for (int i = 0; i < count; ++i) {
      const uint8_t *keys = keys_of(first + i), *soon = keys_of(first + i + kBlockPages);
      kernels.scores(w.queries, rows, group_heads_, dim_, keys, soon, w.scores + i * kPage);
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
    kernels.values(w.probabilities, rows, group_heads_, columns, dim_, values, ahead, w.rescales, w.out);
  }
}

// Keeps a section's results until all ranges of its tile are done.
void AttentionPlan::keep(const Task& task, int section, const Workspace& w) const {
  const size_t rows = size_t(task.part.count) * group_heads_;
  float* kept = partial(task, section);
  std::copy_n(w.out, rows * dim_, kept);
  std::copy_n(w.maxima, rows, kept + rows * dim_);
  std::copy_n(w.sums, rows, kept + rows * (dim_ + 1));
}

// Adds the next section to the rows' output, which is not divided by its sums yet.
void AttentionPlan::fold(const Task& task, const float* part, const float* maxima, const float* sums, bool is_first,
                         const Workspace& w, float* out) const {
  const int rows = task.part.count * group_heads_;
  for (int r = 0; r < rows; ++r) {
    float *y = row_of(task, r, out), *maximum = w.all_maxima + r, *sum = w.all_sums + r;
    if (is_first) {
      std::fill_n(y, dim_, 0.0f);
      *maximum = kLowest, *sum = 0;
    }
    const float highest = std::max(*maximum, maxima[r]);
    const float before = std::exp2(*maximum - highest), now = std::exp2(maxima[r] - highest);
    *maximum = highest;
    *sum = *sum * before + sums[r] * now;
    for (int d = 0; d < dim_; ++d) y[d] = y[d] * before + part[size_t(r) * dim_ + d] * now;
  }
}

float* AttentionPlan::row_of(const Task& task, int r, float* out) const {
  const size_t row = task.part.first_row + r / group_heads_, head = task.group * group_heads_ + r % group_heads_;
  return out + (row * heads_ + head) * dim_;
}

float* AttentionPlan::partial(const Task& task, int section) const {
  return partials_ + (size_t(task.tile) * most_sections_ + section) * partial_size();
}

}  // namespace starloom
