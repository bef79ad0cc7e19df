// Measures attention over pages beside the machine's limits, for the 3B shape: decoding at a depth beside a plain read of the
// same bytes, prefill beside the bf16 peak. Build and run, with the module built in build/lab:
//
//   cmake -S . -B build/lab -G Ninja -DCMAKE_BUILD_TYPE=Release && cmake --build build/lab
//   g++ -std=c++20 -O2 -Inative/include native/lab/attention.cc build/lab/CMakeFiles/_native.dir/native/src/*.o -pthread
//   ./a.out [threads] [instruction set: 0 generic, 1 AVX2, 2 AVX-512, 3 VNNI]
//
// What was tried (Zen 5, GCC 12, one thread at the pace of the peak loop):
//   one position a lane, queries broadcast as a memory operand, 12 rows x 2 registers of sums   275 GFLOP/s, peak 266-330
//   the same without BF16 (pages widened as they are read, float32 sums)                        195 GFLOP/s
//   4 sums in turns for one and two rows (64 dimensions, 2 heads a group, depth 500)             46 GB/s
//   AVX2 with columns outside rows: GCC keeps 8 broadcasts and spills sums                      26 GFLOP/s
//   AVX2 with rows outside columns and the pages to come fetched ahead                          40 GFLOP/s
//   AVX2 on Zen 3, two threads, a step behind 4,095 tokens:                                   from memory, from the third cache
//   4 rows at once, each four of them fetching the same ahead                                 19 ms, 15
//   the same and nothing fetched ahead 30, by the first rows alone 24, a page or two blocks ahead 20 and 24, to other caches 19
//   6 rows at once                                                                            19 ms, 13
//   6 rows, and fetching ahead spread over all of them (as it is)                             16 ms, 13
//   the same 2 or 8 pages ahead instead of 4: 17.5 and 18, to the second cache: 16.5; a thread's pieces side by side: 16
//   The bound: 1.5 G operations at 32 a cycle, and 126 MB, which take 6 ms to read.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <vector>

#include "starloom/attention.h"
#include "starloom/calibrate.h"
#include "starloom/isa.h"
#include "starloom/reserved.h"
#include "starloom/threads.h"

using namespace starloom;

namespace {

constexpr int kLayers = 30, kHeads = 24, kGroups = 2, kDim = 128, kWindow = 4096, kPages = 160, kChunk = 512;

template <class Work>
double seconds(int times, const Work& work) {  // the best of several
  double best = 1e9;
  for (int i = 0; i < times; ++i) {
    const auto start = std::chrono::steady_clock::now();
    work();
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
}

struct Lab {
  Threads threads;
  Pages pages{kLayers, kGroups, kDim, false, kPages, nullptr};
  Reserved memory{pages.count * pages.page_bytes()};
  std::vector<int32_t> table = std::vector<int32_t>(kPages);
  std::vector<float> qkv = std::vector<float>(size_t(kChunk) * (kHeads + 2 * kGroups) * kDim, 0.1f);
  std::vector<float> out = std::vector<float>(size_t(kChunk) * kHeads * kDim);
  Rope rope;
  AttentionPlan plan;

  explicit Lab(int count) : threads(count) {
    pages.data = memory.data();
    std::iota(table.begin(), table.end(), 0);
    std::fill_n(pages.data, pages.count * pages.page_bytes(), uint8_t(0x3c));
  }

  double step(int rows, int position, int layers, int times) {
    const std::vector<Part> parts{{0, rows, position, table.data()}};
    return seconds(times, [&] {
      rope.fill(parts, kDim, 1e6);
      plan.lay(parts, kHeads, pages, kWindow, threads.count());
      for (int layer = 0; layer < layers; ++layer) {
        rotate_and_keep(pages, layer, qkv.data(), kHeads, rope, parts, threads);
        plan.attend(pages, layer, qkv.data(), out.data(), threads);
      }
    });
  }

  void decode(int depth) {
    const double bytes = double(depth) * kLayers * pages.kv_heads * pages.head_bytes() / kPage, time = step(1, depth, kLayers, 15);
    const double limit = read_bandwidth(pages.data, size_t(bytes), threads);
    std::printf("decode at %5d: %7.3f ms a step, %5.1f GB/s; plain read %5.1f GB/s\n", depth, time * 1e3, bytes / time / 1e9, limit / 1e9);
  }

  void prefill(int position) {
    const double time = step(kChunk, position, 1, 5);
    double operations = 0;
    for (int i = 0; i < kChunk; ++i) operations += 4.0 * std::min(position + i + 1, kWindow) * kHeads * kDim;
    std::printf("prefill of %d at %5d: %7.3f ms a layer, %4.0f GFLOP/s; bf16 peak %4.0f\n", kChunk, position, time * 1e3,
                operations / time / 1e9, bf16_peak(threads) / 1e9);
  }
};

}  // namespace

int main(int count, char** words) {
  if (count > 2) force(Isa(std::atoi(words[2])));
  Lab lab(count > 1 ? std::atoi(words[1]) : 2);
  for (const int depth : {100, 2048, 4095}) lab.decode(depth);
  for (const int position : {0, 1536, 3584}) lab.prefill(position);
}
