// Measures products with packed matrices beside the machine's limits, by instruction set, shape and number of rows: one row
// beside a plain read of the same bytes, many beside the 8-bit (bf16, float32) peak. Every product is first held against the
// generic kernels. Build and run, with the module built in build/lab:
//
//   cmake -S . -B build/lab -G Ninja -DCMAKE_BUILD_TYPE=Release && cmake --build build/lab
//   g++ -std=c++20 -O2 -Inative/include native/lab/multiply.cc build/lab/CMakeFiles/_native.dir/native/src/*.o -pthread
//   ./a.out [kind: 0 f32, 1 bf16, 2 q8, 3 q4, 4 q4m] [outputs] [inputs] [threads]
//
// With one thread, times are the thread's own, so that a busy machine does not disturb them much; with more, they pass on the
// wall. What was tried (Zen 5, GCC 12, one thread, 12288 x 3072; share of the peak or of a plain read, both of the same run):
//
//   512 rows                                                                                q4     q8
//   8 rows x 3 stripes at once, what groups add up to in the first cache                    61 %   61 %
//   the same, GCC left to keep these sums: 377 spills                                       42 %   42 %
//   4 rows x 3 stripes, all sums in registers (data in the second cache: 85 to 87 %)        75 %   75 %
//   128 rows with all stripes, instead of 256                                               77 %   73 %
//   8 blocks of each stripe with all rows, then the next 8                                  74 %   58 %
//   all lines of the next stripes asked for between tiles                                   78 %   72 %
//   a line or two of the next stripes asked for in each block (as it is)                    82 %   81 %
//   the bound: 1 multiply-add in float32 beside 8 in 8 bits                                 89 %   89 %
//
//   few rows, GB/s                                                                     q4: 1    4    8 rows
//   3 stripes at once, nothing asked for ahead                                            27   19   16
//   3 stripes at once, 36 lines ahead                                                     30   26   18
//   1 stripe, 72 lines ahead                                                              37   29   17
//   1 stripe, 108 lines ahead, up to 8 rows at once (as it is; a plain read: 42)          38   34   24
//
//   by instruction set, as it is                  1 row GB/s   4 rows GB/s   512 rows GOP/s   share of its own peak
//   q4: generic, AVX2, AVX-512, VNNI              1 37 39 38   0.5 13 29 35  - 191 351 897     - 69 % 64 % 81 %
//   q8: generic, AVX2, AVX-512, VNNI              2 39 37 36   1.0 21 35 35  - 166 280 879     - 71 % 51 % 80 %
//   VNNI, 512 rows, other kinds: q4m 803 GOP/s (71 %), bf16 457 (83 %), f32 243 (88 %)
//
//   AVX2 on Zen 3, one thread, 12288 x 3072 in q4, GOP/s (a read: 17 GB/s)                    1     4   512 rows
//   pairs widened to 32 bits in each step                                                    39    87   120
//   pairs summed in 16 bits through a group; GCC puts off the additions and spills           41   127   110
//   the same, and what groups add up to in memory                                            45   121   124
//   the same, and GCC kept from it (as it is)                                                42   133   184
//   the bound: 2 of the 4 vector pipes multiply; unpacking and scaling take 60 of 188 slots  -     -   211
//   the same for q8 (signs in each product; as it is)                                        20    73   108
//   q8 as two products of 4 bits summed in 16 bits (8 sums at once, no spills)               20    70    97
//   1 row, two threads, beside one stripe after the other: two stripes half a matrix apart, a block of each in turn 1.11x (as it is),
//   a step of each 1.03x; stripes side by side 1.05x; three or four 1.02x and 0.91x; 4 rows 0.91x; q8 0.95x
//
// Activations: mean KL divergence of the embedded model's predictions on 6,144 held-out tokens, weights exact:
//   8 bits, a scale for 32 inputs 1.7e-4, for 64 2.6e-4, for 256 5.3e-4, for a row 5.6e-4; a power of two for 32 (as it is) 3.9e-4;
//   a scale for 256 with weights rounded again to 8 bits for 256, which needs no float32 within them: 6.3e-4.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <random>
#include <vector>

#include "../src/kernels.h"
#include "starloom/calibrate.h"
#include "starloom/isa.h"
#include "starloom/matrix.h"
#include "starloom/pack.h"
#include "starloom/reserved.h"
#include "starloom/threads.h"

using namespace starloom;

namespace {

constexpr size_t kWeightBytes = size_t(512) << 20;  // copies of the matrix, so that the caches do not help
constexpr int kRows[] = {1, 2, 4, 8, 16, 32, 128, 512}, kMostRows = 512;

double now(bool own) {
#if defined(__linux__)
  timespec time;
  if (own && clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) == 0) return double(time.tv_sec) + 1e-9 * double(time.tv_nsec);
#endif
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

struct Lab {
  Threads threads;
  Matrix w;
  size_t bytes = matrix_bytes(w.kind, w.rows, w.columns), copies = std::max<size_t>(1, kWeightBytes / bytes);
  Reserved memory{copies * bytes};
  std::vector<float> x, y, truth;
  std::vector<uint8_t> activations;

  Lab(Kind kind, int rows, int columns, int count)
      : threads(count), w{kind, rows, columns, nullptr}, x(size_t(kMostRows) * columns), y(size_t(kMostRows) * rows),
        activations(activation_bytes(kind, kMostRows, columns)) {
    std::mt19937 generator(1);
    std::normal_distribution<float> normal;
    std::vector<float> weights(size_t(rows) * columns);
    for (float& one : weights) one = 0.02f * normal(generator);
    for (float& one : x) one = normal(generator);
    pack(kind, weights.data(), rows, columns, memory.data(), threads);
    for (size_t i = 1; i < copies; ++i) std::copy_n(memory.data(), bytes, memory.data() + i * bytes);
    force(Isa::generic);
    run(4, 0);
    truth.assign(y.begin(), y.begin() + 4 * rows);
  }

  void run(int rows, size_t copy) {
    const Activations a = {w.kind, rows, w.columns, activations.data()};
    prepare(a, x.data(), w.columns, threads);
    multiply({w.kind, w.rows, w.columns, memory.data() + copy % copies * bytes}, a, nullptr, Epilogue::store, y.data(), w.rows,
             threads);
  }

  // The largest difference from the generic kernels, as a share of the largest output.
  double difference() {
    run(4, 0);
    float largest = 0, worst = 0;
    for (size_t i = 0; i < truth.size(); ++i) {
      largest = std::max(largest, std::fabs(truth[i]));
      worst = std::max(worst, std::fabs(truth[i] - y[i]));
    }
    return worst / largest;
  }

  template <class Work>
  double seconds(const Work& work) const {
    const double start = now(threads.count() == 1);
    work();
    return now(threads.count() == 1) - start;
  }

  double peak() {
    if (threads.count() > 1) return w.kind == Kind::f32 ? f32_peak(threads) : w.kind == Kind::bf16 ? bf16_peak(threads) : int8_peak(threads);
    double operations = 0;
    const double time = seconds([&] { operations = kernels().peak(w.kind, 100000); });
    return operations / time;
  }

  double bandwidth() { return double(copies * bytes) / seconds([&] { read_bandwidth(memory.data(), copies * bytes, threads); }); }

  void measure(int rows, int rounds) {
    double best = 1e9, most_operations = 0, most_bytes = 0;
    for (int round = 0; round < rounds; ++round) {  // limits and products in turns
      most_operations = std::max(most_operations, peak());
      most_bytes = std::max(most_bytes, bandwidth());
      const size_t times = rows < 64 ? copies : 1;
      best = std::min(best, seconds([&] { for (size_t i = 0; i < times; ++i) run(rows, i); }) / double(times));
    }
    const double operations = 2.0 * rows * w.rows * w.columns / best, read = double(bytes) / best;
    std::printf("%8s %4d rows %9.3f ms %8.1f GOP/s %4.0f %% of the peak %6.1f GB/s %4.0f %% of a read\n", name(current()), rows,
                1e3 * best, operations / 1e9, 100 * operations / most_operations, read / 1e9, 100 * read / most_bytes);
  }
};

}  // namespace

int main(int count, char** values) {
  const auto argument = [&](int i, int otherwise) { return count > i ? std::atoi(values[i]) : otherwise; };
  Lab lab(Kind(argument(1, 3)), argument(2, 12288), argument(3, 3072), argument(4, 1));
  for (const Isa isa : available()) {
    force(isa);
    std::printf("%8s differs by %.1e\n", name(isa), lab.difference());
    for (const int rows : kRows)
      if (isa != Isa::generic || rows <= 8) lab.measure(rows, isa == Isa::generic ? 1 : 5);
  }
}
