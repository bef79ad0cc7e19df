// The products' driver: which rows and stripes are one piece of work, and what is done to a piece of the result. The
// arithmetic is in the kernels of each instruction set.
#include <algorithm>

#include "kernels.h"
#include "starloom/isa.h"
#include "starloom/threads.h"

namespace starloom {
namespace {

constexpr int kFewRows = 16;                       // up to here, reading weights takes long beside multiplying
constexpr size_t kChunkBytes = size_t(256) << 10;  // of weights that are read once
constexpr int kChunksPerThread = 8;                // at least, where there are as many stripes

int stripes_of(int rows) { return (rows + kStripe - 1) / kStripe; }
int tiles_of(int rows) { return (rows + kTileRows - 1) / kTileRows; }

// A product under way.
struct Product {
  const Matrix& w;
  const Activations& a;
  const float* bias;
  Epilogue epilogue;
  float* y;
  ptrdiff_t stride;
  const Kernels& kernel;
  int threads;

  void finish(float* z, int first_row, int rows, int first_stripe, int stripes) const {
    const int width = stripes * kStripe, first = first_stripe * kStripe, count = std::min(width, w.rows - first);
    kernel.finish(epilogue, z, rows, width, count, bias == nullptr ? nullptr : bias + first, y + first_row * stride + first, stride);
  }

  void piece(int first_row, int last_row, int stripe, int stripes) const {
    const size_t bytes = matrix_bytes(w.kind, kStripe, w.columns);
    const int at_once = kTileRows * (stripes == 1 ? kernel.tiles : 1), blocks = w.columns / kBlock;
    Weights weights = {w.kind, w.data + stripe * bytes, bytes, nullptr};
    const uint8_t* next = weights.data + stripes * bytes * (stripes == 1 ? 1 : threads);  // likely this thread's
    for (int row = first_row; row < last_row; row += at_once) {
      alignas(64) float z[kTileRows * kMostTiles * kMostStripes * kStripe] = {};
      const int rows = std::min(at_once, last_row - row);
      kernel.multiply(weights, stripes, blocks, a.data + tile_bytes(w.kind, row, w.columns), rows, z);
      finish(z, row, rows, stripe, stripes);
      weights.next = next;
      next += blocks * next_bytes(w.kind);
    }
  }

  void pieces(int first_row, int last_row, int stripe, int last_stripe) const {
    const int width = a.rows > kFewRows ? kernel.stripes : 1;
    while (stripe < last_stripe) {
      const int stripes = last_stripe - stripe >= width ? width : 1;
      piece(first_row, last_row, stripe, stripes);
      stripe += stripes;
    }
  }
};

// Stripes a chunk: one tile's worth when there are many rows, else enough bytes to be worth handing out.
int stripes_a_chunk(const Matrix& w, int rows, int threads) {
  if (rows > kFewRows) return kMostStripes;
  const size_t bytes = matrix_bytes(w.kind, kStripe, w.columns);
  const int fair = stripes_of(w.rows) / (kChunksPerThread * threads);
  return std::max(1, std::min(fair, int(kChunkBytes / bytes)));
}

}  // namespace

const Kernels& kernels() {
#if defined(__x86_64__)
  switch (current()) {
    case Isa::vnni: return kernels_vnni;
    case Isa::avx512: return kernels_avx512;
    case Isa::avx2: return kernels_avx2;
    case Isa::generic: break;
  }
#endif
  return kernels_generic;
}

size_t block_bytes(Kind kind) { return bytes_of_block(kind); }

size_t matrix_bytes(Kind kind, int rows, int columns) {
  return size_t(stripes_of(rows)) * (columns / kBlock) * block_bytes(kind);
}

size_t activation_bytes(Kind kind, int rows, int columns) { return tile_bytes(kind, rows, columns); }

void prepare(const Activations& a, const float* x, ptrdiff_t stride, Threads& threads) {
  const auto tile = [&, &kernel = kernels()](size_t chunk, int) {
    const int row = int(chunk) * kTileRows;
    kernel.prepare(a.kind, x + row * stride, stride, std::min(kTileRows, a.rows - row), a.columns,
                   a.data + tile_bytes(a.kind, row, a.columns));
  };
  threads.run(tiles_of(a.rows), tile);
}

void multiply(const Matrix& w, const Activations& a, const float* bias, Epilogue epilogue, float* y, ptrdiff_t stride,
              Threads& threads) {
  if (a.rows == 0 || w.rows == 0) return;
  const Product product = {w, a, bias, epilogue, y, stride, kernels(), threads.count()};
  const int stripes = stripes_of(w.rows), width = stripes_a_chunk(w, a.rows, threads.count());
  const size_t across = (stripes + width - 1) / width, down = (a.rows + kRowsAtOnce - 1) / kRowsAtOnce;
  threads.run(across * down, [&](size_t chunk, int) {
    const int row = int(chunk / across) * kRowsAtOnce, stripe = int(chunk % across) * width;
    product.pieces(row, std::min(a.rows, row + kRowsAtOnce), stripe, std::min(stripes, stripe + width));
  });
}

}  // namespace starloom
