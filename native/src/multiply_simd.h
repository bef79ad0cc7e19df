// Products over vectors: one text for AVX2, AVX-512 and AVX-512 with VNNI. V wraps the instructions of one of them:
//
//   Vector, kLanes        a register, and how many 4-byte numbers it has; a step of a stripe is 16 / kLanes registers
//   Step<kind>            a step of weights, ready to be multiplied by any number of rows
//   dot<kind>(sum, w, a)  sum += products of the 4 bytes of each lane, as the kind has them
//   kSigned<kind>         whether `dot` takes weights with their sign
//   kNarrow<kind>         whether `dot` sums in two halves of 16 bits, which hold a group: 15 * 128 * 2 * 8 < 2^15
//   widen(sum, start)     start + both halves of each lane
//
// R rows and C registers of columns are summed at once: 12 sums are enough to hide how long a multiply-add takes and leave
// registers for what groups add up to. Few rows take one stripe after the other, which memory gives fastest; many take
// several, for then a broadcast number is used more often.
#pragma once

#include <immintrin.h>

#include <utility>

#include "activations.h"
#include "epilogue.h"
#include "limits_simd.h"

namespace starloom {
namespace {

constexpr int kAhead = 108 * 64;  // bytes from weights in use to those asked for

template <class V, int R, int C>
using Sums = typename V::Vector[R][C];

// What a block adds to: in registers, or where they are too few beside the sums of a group, in z [R, C] itself.
template <class V, Kind kind, int R, int C>
struct Totals {
  static constexpr bool kHeld = !has_groups(kind) || 2 * R * C + 4 <= V::kRegisters;
  Sums<V, kHeld ? R : 1, kHeld ? C : 1> held;
  float* z;

  explicit Totals(float* where) : z(where) {
    if constexpr (kHeld) each([&](int r, int c) { held[r][c] = V::load(at(r, c)); });
  }
  void store() {
    if constexpr (kHeld) each([&](int r, int c) { V::store(at(r, c), held[r][c]); });
  }
  [[gnu::always_inline]] void add(int r, int c, typename V::Vector x, typename V::Vector y) {
    if constexpr (kHeld)
      held[r][c] = V::multiply_add(x, y, held[r][c]);
    else
      V::store(at(r, c), V::multiply_add(x, y, V::load(at(r, c))));
  }

 private:
  float* at(int r, int c) { return z + (r * C + c) * V::kLanes; }
  template <class Work>
  [[gnu::always_inline]] static void each(const Work& work) {
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
      for (int c = 0; c < C; ++c) work(r, c);
  }
};

// R rows from a tile on, at some step of each tile.
template <int R>
struct Rows {
  static constexpr int kTiles = (R + kTileRows - 1) / kTileRows;
  const uint8_t* tiles[kTiles];

  Rows(const uint8_t* first, size_t bytes) {
    for (int t = 0; t < kTiles; ++t) tiles[t] = first + t * bytes;
  }
  static constexpr int beside(int t) { return R - t * kTileRows < kTileRows ? R - t * kTileRows : kTileRows; }
  // The word of row r in the `index`-th line of words from here.
  [[gnu::always_inline]] const uint8_t* word(int index, int r) const {
    return tiles[r / kTileRows] + (index * beside(r / kTileRows) + r % kTileRows) * 4;
  }
  [[gnu::always_inline]] void skip(int words) {
    for (int t = 0; t < kTiles; ++t) tiles[t] += words * beside(t) * 4;
  }
};

template <size_t kBytes>
[[gnu::always_inline]] inline void ask_for(const uint8_t* data) {
#pragma GCC unroll 64
  for (size_t i = 0; i < kBytes; i += 64) __builtin_prefetch(data + i);
}

template <class V, Kind kind, int R, int C>
[[gnu::always_inline]] inline void add_step(Sums<V, R, C>& sums, const uint8_t* weights, size_t stripe_bytes, bool high,
                                            const Rows<R>& a, int step) {
  constexpr int kAcross = kStripe / V::kLanes;
  typename V::template Step<kind> w[C];
#pragma GCC unroll 4
  for (int c = 0; c < C; ++c) w[c].load(weights + c / kAcross * stripe_bytes + c % kAcross * V::kLanes * 4, high);
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
    const auto x = V::broadcast(a.word(step, r));
#pragma GCC unroll 4
    for (int c = 0; c < C; ++c) V::template dot<kind>(sums[r][c], w[c], x);
  }
}

// z += one group of a block: products of whole numbers, scaled.
template <class V, Kind kind, int R, int C>
[[gnu::always_inline]] inline void add_group(Totals<V, kind, R, C>& z, const uint8_t* block, size_t stripe_bytes, int group,
                                             const Rows<R>& a) {
  constexpr int kStart = kSteps, kUnit = kSteps + 1, kSum = kSteps + 2;  // after the numbers
  constexpr int kNumbers = kStripe * kGroup / (has_nibbles(kind) ? 2 : 1), kAcross = kStripe / V::kLanes;
  constexpr int kFirst = V::template kSigned<kind> ? kUnit : kStart;  // what sums count from
  Sums<V, R, C> sums;
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int c = 0; c < C; ++c) sums[r][c] = V::template kNarrow<kind> ? V::zero() : V::broadcast(a.word(kFirst, r));
#pragma GCC unroll 8
  for (int step = 0; step < kSteps; ++step)
    add_step<V, kind, R, C>(sums, block + group * kNumbers + (has_nibbles(kind) ? step / 2 : step) * 64, stripe_bytes,
                            step % 2, a, step);
#pragma GCC unroll 4
  for (int c = 0; c < C; ++c) {
    const uint8_t* scales = block + c / kAcross * stripe_bytes + 2 * kNumbers + group * 32 + c % kAcross * V::kLanes * 2;
    const auto scale = V::halves(scales);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      if constexpr (V::template kNarrow<kind>) sums[r][c] = V::widen(sums[r][c], V::broadcast(a.word(kFirst, r)));
      z.add(r, c, V::subtract(sums[r][c], V::broadcast(a.word(kUnit, r))), scale);
    }
    if constexpr (kind == Kind::q4m) {
      const auto minimum = V::halves(scales + 64);
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) z.add(r, c, V::broadcast(a.word(kSum, r)), minimum);
    }
  }
}

template <class V, Kind kind, int R, int C>
[[gnu::always_inline]] inline void add_block(Totals<V, kind, R, C>& z, const uint8_t* block, size_t stripe_bytes, Rows<R>& a) {
  if constexpr (has_groups(kind)) {
    for (int group = 0; group < kBlock / kGroup; ++group, a.skip(kSteps + 3))
      add_group<V, kind, R, C>(z, block, stripe_bytes, group, a);
  } else {
    for (int step = 0; step < int(bytes_of_block(kind) / 64); ++step, block += 64, a.skip(1))
      add_step<V, kind, R, C>(z.held, block, stripe_bytes, false, a, 0);
  }
}

template <class V, Kind kind, int R, int C>
void multiply_blocks(const Weights& w, int blocks, const uint8_t* tile, float* z) {
  Rows<R> a(tile, tile_bytes(kind, kTileRows, blocks * kBlock));
  Totals<V, kind, R, C> sums(z);
  const uint8_t *weights = w.data, *next = w.next;
  for (int b = 0; b < blocks; ++b, weights += bytes_of_block(kind)) {
    if (next != nullptr)
      ask_for<next_bytes(kind)>(next + b * next_bytes(kind));
    else
#pragma GCC unroll 4
      for (int c = 0; c < C; c += kStripe / V::kLanes)
        ask_for<bytes_of_block(kind)>(weights + c * V::kLanes / kStripe * w.stripe_bytes + kAhead);
    add_block<V, kind, R, C>(sums, weights, w.stripe_bytes, a);
  }
  sums.store();
}

// One row with stripes far apart, block by block in turn: memory gives several streams faster than one.
template <class V, Kind kind>
void multiply_streams(const Weights& w, int blocks, const uint8_t* tile, float* z) {
  Rows<1> a(tile, 0);
  const uint8_t* weights = w.data;
  for (int b = 0; b < blocks; ++b, weights += bytes_of_block(kind), a.skip(kBlock / kGroup * (kSteps + 3)))
#pragma GCC unroll 4
    for (int stream = 0; stream < V::kStreams; ++stream) {
      const uint8_t* block = weights + stream * w.stripe_bytes;
      ask_for<bytes_of_block(kind)>(block + kAhead);
      Rows<1> from = a;
      Totals<V, kind, 1, kStripe / V::kLanes> sums(z + stream * kStripe);
      add_block<V, kind, 1, kStripe / V::kLanes>(sums, block, w.stripe_bytes, from);
      sums.store();
    }
}

using Multiply = void (*)(const Weights& w, int blocks, const uint8_t* tile, float* z);

template <class V, Kind kind, int C, int... Counts>
Multiply multiply_of(int rows, std::integer_sequence<int, Counts...>) {
  static constexpr Multiply by_rows[] = {multiply_blocks<V, kind, Counts + 1, C>...};
  return by_rows[rows - 1];
}

template <class V, Kind kind>
Multiply multiply_of(int rows, int stripes) {
  constexpr int kOne = kStripe / V::kLanes;
  if (stripes == 1) return multiply_of<V, kind, kOne>(rows, std::make_integer_sequence<int, V::kTiles * kTileRows>());
  if constexpr (has_nibbles(kind) && V::kStreams > 1)
    if (rows == 1 && stripes == V::kStreams) return multiply_streams<V, kind>;
  return multiply_of<V, kind, kOne * V::kStripes>(rows, std::make_integer_sequence<int, kTileRows>());
}

template <class V>
void multiply_tile(const Weights& w, int stripes, int blocks, const uint8_t* tile, int rows, float* z) {
  for_kind(w.kind, [=]<Kind kind>() { return multiply_of<V, kind>(rows, stripes); })(w, blocks, tile, z);
}

template <class V>
constexpr Kernels kernels_of = {V::kStripes, V::kTiles, V::kStreams, prepare_tile, multiply_tile<V>, finish_rows, peak<V>, read_all<V>};

}  // namespace
}  // namespace starloom
