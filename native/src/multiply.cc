// The products' driver: which rows and stripes are one piece of work, and what is done to a piece of the result. The
// arithmetic is in the kernels of each instruction set.
#include <algorithm>
#include <atomic>
#include <vector>

#include "kernels.h"
#include "starloom/isa.h"
#include "starloom/threads.h"

namespace starloom {
namespace {

constexpr int kFewRows = 16;                      // up to here, reading weights takes long beside multiplying
constexpr size_t kPieceBytes = size_t(64) << 10;  // of weights handed out at once when rows are few

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

  void finish(const float* z, int first_row, int rows, int first_stripe, int stripes) const {
    const int width = stripes * kStripe, first = first_stripe * kStripe, count = std::min(width, w.rows - first);
    kernel.finish(epilogue, z, rows, width, count, bias == nullptr ? nullptr : bias + first, y + first_row * stride + first, stride);
  }

  void piece(int first_row, int last_row, int stripe, int stripes) const {
    const size_t bytes = matrix_bytes(w.kind, kStripe, w.columns);
    const int at_once = kTileRows * (stripes == 1 ? kernel.tiles : 1), blocks = w.columns / kBlock;
    Weights weights = {w.kind, w.data + stripe * bytes, bytes, nullptr};
    const uint8_t* next = weights.data + stripes * bytes * (stripes == 1 ? 1 : threads);  // likely this thread's
    for (int row = first_row; row < last_row; row += at_once) {
      alignas(64) float z[kTileRows * std::max(kMostTiles, kMostStripes) * kStripe];
      const int rows = std::min(at_once, last_row - row);
      std::fill_n(z, rows * stripes * kStripe, 0.0f);
      kernel.multiply(weights, stripes, blocks, a.data + tile_bytes(w.kind, row, w.columns), rows, z);
      finish(z, row, rows, stripe, stripes);
      weights.next = next;
      next += blocks * next_bytes(w.kind);
    }
  }

  // The only row with `kernel.streams` stripes at once, `apart` stripes from one to the next.
  void streams(int stripe, int apart) const {
    const size_t bytes = matrix_bytes(w.kind, kStripe, w.columns);
    alignas(64) float z[kMostStripes * kStripe] = {};
    kernel.multiply({w.kind, w.data + stripe * bytes, apart * bytes, nullptr}, kernel.streams, w.columns / kBlock, a.data, 1, z);
    for (int i = 0; i < kernel.streams; ++i) finish(z + i * kStripe, 0, 1, stripe + i * apart, 1);
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

// The stripes of a matrix, shared out so that each thread reads memory in one run. Whoever is done helps another from its end.
class Shares {
 public:
  Shares(int stripes, int piece, int threads) : piece_(piece), shares_(threads) {
    for (int t = 0; t < threads; ++t)
      shares_[t].left = range(uint64_t(stripes) * t / threads, uint64_t(stripes) * (t + 1) / threads);
  }

  // Calls work(first, last) for pieces of share after share, from `own` on, until nothing is left of any.
  template <class Work>
  void take(size_t own, const Work& work) {
    for (size_t i = 0; i < shares_.size(); ++i) {
      std::atomic<uint64_t>& left = shares_[(own + i) % shares_.size()].left;
      uint64_t seen = left.load(std::memory_order_relaxed);
      while (first(seen) < last(seen)) {
        const uint64_t count = std::min<uint64_t>(piece_, last(seen) - first(seen));
        const uint64_t rest = i == 0 ? range(first(seen) + count, last(seen)) : range(first(seen), last(seen) - count);
        if (!left.compare_exchange_weak(seen, rest, std::memory_order_relaxed)) continue;
        i == 0 ? work(int(first(seen)), int(first(rest))) : work(int(last(rest)), int(last(seen)));
        seen = left.load(std::memory_order_relaxed);
      }
    }
  }

 private:
  static uint64_t range(uint64_t first, uint64_t last) { return first << 32 | last; }
  static uint64_t first(uint64_t range) { return range >> 32; }
  static uint64_t last(uint64_t range) { return range & 0xffffffff; }

  struct alignas(64) Share {
    std::atomic<uint64_t> left;
  };
  const int piece_;
  std::vector<Share> shares_;
};

// Stripes handed out at once, when rows are few: enough bytes to be worth it.
int stripes_a_piece(const Matrix& w) { return std::max(1, int(kPieceBytes / matrix_bytes(w.kind, kStripe, w.columns))); }

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
  const int stripes = stripes_of(w.rows);
  if (a.rows <= kFewRows) {
    const int streams = a.rows == 1 && has_nibbles(w.kind) ? product.kernel.streams : 1, each = stripes / streams;
    Shares shares(each, stripes_a_piece(w), threads.count());
    threads.run(threads.count(), [&](size_t share, int) {
      shares.take(share, [&](int first, int last) {
        if (streams == 1) return product.pieces(0, a.rows, first, last);
        for (int stripe = first; stripe < last; ++stripe) product.streams(stripe, each);
      });
    });
    product.pieces(0, a.rows, each * streams, stripes);
    return;
  }
  const size_t across = (stripes + kMostStripes - 1) / kMostStripes, down = (a.rows + kRowsAtOnce - 1) / kRowsAtOnce;
  threads.run(across * down, [&](size_t chunk, int) {
    const int row = int(chunk / across) * kRowsAtOnce, stripe = int(chunk % across) * kMostStripes;
    product.pieces(row, std::min(a.rows, row + kRowsAtOnce), stripe, std::min(stripes, stripe + kMostStripes));
  });
}

}  // namespace starloom
