// LayerNorm of norm.h: mean first, then the variance about it. Sums are kept in lanes so that compilers use vectors for them.
#include "starloom/norm.h"

#include <cmath>
#include <cstddef>

#include "starloom/threads.h"

namespace starloom {
namespace {

constexpr int kLanes = 16, kRows = 4;  // rows a chunk

template <class Term>
float sum(const float* x, int size, const Term& term) {
  float lanes[kLanes] = {};
  int i = 0;
  for (; i + kLanes <= size; i += kLanes)
    for (int lane = 0; lane < kLanes; ++lane) lanes[lane] += term(x[i + lane]);
  for (; i < size; ++i) lanes[0] += term(x[i]);
  for (int half = kLanes / 2; half > 0; half /= 2)
    for (int lane = 0; lane < half; ++lane) lanes[lane] += lanes[lane + half];
  return lanes[0];
}

void row(const Norm& norm, float epsilon, const float* x, int size, float* y) {
  const float mean = sum(x, size, [](float v) { return v; }) / float(size);
  const float variance = sum(x, size, [mean](float v) { return (v - mean) * (v - mean); }) / float(size);
  const float scale = 1.0f / std::sqrt(variance + epsilon);
  for (int i = 0; i < size; ++i) y[i] = (x[i] - mean) * scale * norm.weight[i] + norm.bias[i];
}

}  // namespace

void layer_norm(const Norm& norm, float epsilon, const float* x, int rows, int size, float* y, Threads& threads) {
  threads.run(size_t(rows + kRows - 1) / kRows, [=](size_t chunk, int) {
    for (int r = int(chunk) * kRows; r < rows && r < int(chunk + 1) * kRows; ++r)
      row(norm, epsilon, x + size_t(r) * size, size, y + size_t(r) * size);
  });
}

}  // namespace starloom
