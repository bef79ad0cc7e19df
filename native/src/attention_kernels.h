// What the attention's driver asks of an instruction set: products of packed queries with a page of keys, a softmax that goes
// on from block to block, products of probabilities with pages of values. One table an instruction set.
//
// A row's result must not depend on the rows beside it, to the last bit: who else is in a step changes nobody's text.
//
// Legend: R rows (query rows times the `heads` of a key-value head), D head dimension, n columns (positions) of a block.
#pragma once

#include <cstddef>
#include <cstdint>

namespace starloom {

constexpr int kBlockPages = 4, kBlockColumns = 128;  // positions between two rescalings of the output

struct AttentionKernels {
  size_t element;  // bytes of a query's number and of a probability as the products read them
  // packed [n] = x [n] * scale
  void (*pack)(const float* x, size_t n, float scale, void* packed);
  // s [R, 32] (kBlockColumns floats from row to row) = q [R, D] x keys; `ahead`, if not null, are keys soon needed.
  void (*scores)(const void* q, int rows, int heads, int dim, const uint8_t* keys, const uint8_t* ahead, float* s);
  // One row: columns [begin, end) of s [n] count. Updates the row's maximum and sum, writes p [n] = 2^(s - maximum), and
  // returns 2^(old maximum - maximum), by which the output so far is multiplied. n is a multiple of 32.
  float (*soften)(const float* s, int n, int begin, int end, float* maximum, float* sum, void* p);
  // out [R, D] = out * rescale [R] + p [R, n] (kBlockColumns from row to row) x values of `pages`, n positions of them;
  // `ahead[i]`, if not null, are values soon needed.
  void (*values)(const void* p, int rows, int heads, int n, int dim, const uint8_t* const* pages,
                 const uint8_t* const* ahead, const float* rescale, float* out);
};

extern const AttentionKernels attention_generic, attention_wide;  // bf16 pages and float32 pages, on any machine
#if defined(__x86_64__)
extern const AttentionKernels attention_avx2, attention_avx512, attention_vnni;
#endif

constexpr float kLowest = -1e30f;  // a row's maximum before its first column: finite, so that differences are numbers

}  // namespace starloom
