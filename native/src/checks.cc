// The checks of a step's arguments and of pages; see checks.h.
#include "starloom/checks.h"

#include <stdexcept>

namespace starloom {
namespace {

constexpr int64_t kMostPositions = int64_t(1) << 24;  // float32 angles tell positions apart up to here

template <class... Words>
[[noreturn]] void fail(const Words&... words) {
  std::string message;
  const auto add = [&](const auto& word) {
    if constexpr (std::is_arithmetic_v<std::decay_t<decltype(word)>>)
      message += std::to_string(word);
    else
      message += word;
  };
  (add(words), ...);
  throw std::invalid_argument(message);
}

void check_starts(Numbers starts, size_t parts, size_t total, int least, const char* name) {
  if (starts.size != parts + 1) fail(name, " has ", starts.size, " numbers; for ", parts, " parts it must have ", parts + 1);
  if (starts[0] != 0) fail(name, " begins with ", starts[0], "; it must begin with 0");
  for (size_t i = 0; i < parts; ++i)
    if (starts[i + 1] < starts[i] + least) fail(name, "[", i + 1, "] is ", starts[i + 1], "; it must be at least ", starts[i] + least);
  if (uint64_t(starts[parts]) != total) fail(name, " ends with ", starts[parts], "; it must end with ", total);
}

void check_table(const Part& part, int64_t entries, size_t index, const Pages& pages, int window) {
  const int64_t needed = (int64_t(part.position) + part.count - 1) / kPage + 1;
  if (entries < needed) fail("the table of part ", index, " has ", entries, " pages; its positions need ", needed);
  for (int64_t i = first_seen(part.position, window) / kPage; i < needed; ++i)
    if (part.table[i] < 0 || size_t(part.table[i]) >= pages.count)
      fail("entry ", i, " in the table of part ", index, " is ", part.table[i], "; its window needs a page from 0 to ",
           int64_t(pages.count) - 1);
}

}  // namespace

Pages make_pages(int64_t layers, int64_t kv_heads, int64_t head_dim, int64_t count, bool wide) {
  if (layers < 1 || layers > 1 << 16) fail("layers is ", layers, "; it must be from 1 to ", 1 << 16);
  if (kv_heads < 1 || kv_heads > 1 << 16) fail("kv_heads is ", kv_heads, "; it must be from 1 to ", 1 << 16);
  if (head_dim < 32 || head_dim > kMaxHeadDim || head_dim % 32 != 0)
    fail("head_dim is ", head_dim, "; it must be a multiple of 32 up to ", kMaxHeadDim);
  if (count < 1 || count > INT32_MAX) fail("count is ", count, "; it must be from 1 to ", INT32_MAX);
  Pages pages = {int(layers), int(kv_heads), int(head_dim), wide, size_t(count), nullptr};
  if (pages.page_bytes() > SIZE_MAX / 2 / pages.count) fail(count, " pages of ", pages.page_bytes(), " bytes are too many");
  return pages;
}

std::vector<Part> make_parts(Numbers row_starts, Numbers positions, Numbers tables, Numbers table_starts, size_t rows,
                             const Pages& pages, int window) {
  const size_t count = positions.size;
  check_starts(row_starts, count, rows, 1, "row_starts");
  check_starts(table_starts, count, tables.size, 0, "table_starts");
  std::vector<Part> parts;
  for (size_t i = 0; i < count; ++i) {
    const int64_t length = row_starts[i + 1] - row_starts[i];
    if (positions[i] < 0 || positions[i] + length > kMostPositions)
      fail("positions[", i, "] is ", positions[i], "; with ", length, " rows it must be from 0 to ", kMostPositions - length);
    parts.push_back({int(row_starts[i]), int(length), int(positions[i]), tables.data + table_starts[i]});
    check_table(parts.back(), table_starts[i + 1] - table_starts[i], i, pages, window);
  }
  return parts;
}

void check_ids(Numbers ids, int vocab_size) {
  for (size_t i = 0; i < ids.size; ++i)
    if (ids[i] < 0 || ids[i] >= vocab_size) fail("ids[", i, "] is ", ids[i], "; ids are from 0 to ", vocab_size - 1);
}

void check_logit_rows(Numbers logit_rows, size_t rows) {
  for (size_t i = 0; i < logit_rows.size; ++i) {
    if (logit_rows[i] < 0 || uint64_t(logit_rows[i]) >= rows)
      fail("logit_rows[", i, "] is ", logit_rows[i], "; the step has rows 0 to ", int64_t(rows) - 1);
    if (i > 0 && logit_rows[i] <= logit_rows[i - 1]) fail("logit_rows must ascend, but ", logit_rows[i], " follows ", logit_rows[i - 1]);
  }
}

}  // namespace starloom
