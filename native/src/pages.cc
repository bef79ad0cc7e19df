// Turns queries and keys by their positions' angles (RoPE, NeoX layout) and puts keys and values into pages.
#include <algorithm>
#include <cmath>

#include "numbers.h"
#include "starloom/attention.h"
#include "starloom/threads.h"

namespace starloom {
namespace {

void turn(float* x, const float* cosines, const float* sines, int half) {
  for (int i = 0; i < half; ++i) {
    const float first = x[i], second = x[half + i];
    x[i] = first * cosines[i] - second * sines[i];
    x[half + i] = second * cosines[i] + first * sines[i];
  }
}

void narrow(float x, float* y) { *y = x; }
void narrow(float x, uint16_t* y) { *y = to_bf16(x); }

// Position `at` of a page. The first of a pair clears its neighbour's values: a page taken over from another sequence may hold
// anything there, even numbers that are not finite, and the products read pairs.
template <class T>
void keep(uint8_t* page, int at, const float* key, const float* value, int dim) {
  T* keys = reinterpret_cast<T*>(page) + 2 * at;
  for (int d = 0; d < dim; d += 2, keys += 2 * kPage) {
    narrow(key[d], keys);
    narrow(key[d + 1], keys + 1);
  }
  T* values = reinterpret_cast<T*>(page) + size_t(kPage) * dim + size_t(at / 2) * 2 * dim + at % 2;
  for (int d = 0; d < dim; ++d, values += 2) {
    narrow(value[d], values);
    if (at % 2 == 0) values[1] = 0;
  }
}

void rotate_and_keep_row(const Pages& pages, int layer, float* row, int heads, const float* cosines, const float* sines,
                         int page, int at) {
  const int dim = pages.head_dim, groups = pages.kv_heads;
  for (int h = 0; h < heads + groups; ++h) turn(row + size_t(h) * dim, cosines, sines, dim / 2);
  for (int g = 0; g < groups; ++g) {
    const float* key = row + size_t(heads + g) * dim;
    const auto put = pages.wide ? keep<float> : keep<uint16_t>;
    put(pages.keys(page, layer, g), at, key, key + size_t(groups) * dim, dim);
  }
}

}  // namespace

void Rope::fill(const std::vector<Part>& parts, int head_dim, double theta) {
  const int half = head_dim / 2;
  float frequencies[kMaxHeadDim / 2];
  for (int i = 0; i < half; ++i) frequencies[i] = 1.0f / float(std::pow(theta, double(float(2 * i) / float(head_dim))));
  const Part& last = parts.back();
  cosines.resize(size_t(last.first_row + last.count) * half);
  sines.resize(cosines.size());
  for (const Part& part : parts)
    for (int t = 0; t < part.count; ++t)
      for (int i = 0; i < half; ++i) {
        const float angle = float(part.position + t) * frequencies[i];
        cosines[size_t(part.first_row + t) * half + i] = std::cos(angle);
        sines[size_t(part.first_row + t) * half + i] = std::sin(angle);
      }
}

// A chunk is what falls into one page: two threads never write one pair of values.
void rotate_and_keep(const Pages& pages, int layer, float* qkv, int heads, const Rope& rope, const std::vector<Part>& parts,
                     Threads& threads) {
  const int half = pages.head_dim / 2;
  const size_t stride = size_t(heads + 2 * pages.kv_heads) * pages.head_dim;
  const auto pages_of = [](const Part& p) { return (p.position + p.count - 1) / kPage - p.position / kPage + 1; };
  size_t chunks = 0;
  for (const Part& part : parts) chunks += pages_of(part);
  threads.run(chunks, [&](size_t chunk, int) {
    const Part* part = parts.data();
    for (; int(chunk) >= pages_of(*part); ++part) chunk -= pages_of(*part);
    const int page = part->position / kPage + int(chunk);
    const int begin = std::max(part->position, page * kPage), end = std::min(part->position + part->count, (page + 1) * kPage);
    for (int position = begin; position < end; ++position) {
      const size_t row = size_t(part->first_row) + (position - part->position);
      rotate_and_keep_row(pages, layer, qkv + row * stride, heads, &rope.cosines[row * half], &rope.sines[row * half],
                          part->table[page], position % kPage);
    }
  });
}

}  // namespace starloom
