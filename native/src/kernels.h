// What the products' driver asks of an instruction set, and how activations lie in memory. One table an instruction set.
//
// Activations are tiles of kTileRows rows, the last with fewer. A step is 4 bytes of each row of a tile, read beside 64 bytes
// of a stripe of weights. A tile of R rows:
//
//   f32              [K]{ [R] float }
//   bf16             [K/2]{ [R][2] bf16 }
//   q8, q4, q4m      [K/32]{ [8][R][4] int8 numbers, [R] int32 start, [R] float unit, [R] float sum }
//
// For whole numbers an input is number * 2^e, one e for 32 inputs of a row (the MXINT8 format). Sums of products of weights
// and numbers count from `unit`, the float 1.5 * 2^(23+e), taken as an integer: then the sum's bits as a float, less `unit`,
// are the sum of whole numbers times 2^e, exactly. `start` is `unit` less what it adds that weights are stored without sign,
// `offset` too large. `sum` is the sum of the inputs, for the kind with minimums.
//
// Each output is summed from the first input to the last, so what a row gives does not depend on the rows beside it.
#pragma once

#include "starloom/matrix.h"

namespace starloom {

constexpr int kTileRows = 4, kMostStripes = 3, kMostTiles = 2, kSteps = kGroup / 4;

// Stripes of weights from some block on.
struct Weights {
  Kind kind;
  const uint8_t* data;
  size_t stripe_bytes;  // from stripe to stripe
  const uint8_t* next;  // what to bring into the caches after these; null when these are not there yet
};

struct Kernels {
  // One product takes a tile and 1 or `stripes` stripes, or up to `tiles` tiles and 1 stripe; of kinds with nibbles also 1 row
  // and `streams` stripes, at most kMostStripes.
  int stripes, tiles, streams;
  // One tile of `rows` rows from x, `stride` floats from row to row.
  void (*prepare)(Kind kind, const float* x, ptrdiff_t stride, int rows, int columns, uint8_t* tile);
  // z [rows, 16 stripes] += the product of `rows` rows from a tile on with `blocks` blocks of each stripe: all of K.
  void (*multiply)(const Weights& w, int stripes, int blocks, const uint8_t* tile, int rows, float* z);
  // y [rows, count], `stride` from row to row, from z [rows, width] and bias [count] or null.
  void (*finish)(Epilogue epilogue, const float* z, int rows, int width, int count, const float* bias, float* y, ptrdiff_t stride);
  // Multiply-adds as fast as they come: operations (2 a multiply-add) of `rounds` rounds.
  double (*peak)(Kind kind, size_t rounds);
  uint64_t (*read)(const uint8_t* data, size_t size);  // all bytes; the result depends on each
};

extern const Kernels kernels_generic;
#if defined(__x86_64__)
extern const Kernels kernels_avx2, kernels_avx512, kernels_vnni;
#endif

const Kernels& kernels();  // of `current()`

constexpr bool has_groups(Kind kind) { return kind == Kind::q8 || kind == Kind::q4 || kind == Kind::q4m; }
constexpr bool has_nibbles(Kind kind) { return kind == Kind::q4 || kind == Kind::q4m; }
constexpr int offset(Kind kind) { return kind == Kind::q8 ? 128 : kind == Kind::q4 ? 8 : 0; }
constexpr size_t bytes_of_block(Kind kind) {
  constexpr size_t bytes[] = {4096, 2048, 1088, 576, 640};
  return bytes[int(kind)];
}
// How much of `next` a product asks for in a block, so that kRowsAtOnce rows ask for kMostStripes stripes: whole lines.
constexpr int kRowsAtOnce = 128;  // whose activations stay in the second cache while all stripes pass
constexpr size_t next_bytes(Kind kind) {
  constexpr size_t kTiles = kRowsAtOnce / kTileRows - 1;
  return (bytes_of_block(kind) * kMostStripes / kTiles + 63) / 64 * 64;
}
constexpr size_t group_bytes(int rows) { return size_t(rows) * (kGroup + 12); }
constexpr size_t tile_bytes(Kind kind, int rows, int columns) {
  if (has_groups(kind)) return size_t(columns / kGroup) * group_bytes(rows);
  return size_t(rows) * columns * (kind == Kind::f32 ? 4 : 2);
}

}  // namespace starloom
