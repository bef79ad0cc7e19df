// The measuring loops of calibrate.h.
#include "starloom/calibrate.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <vector>

#include "kernels.h"
#include "starloom/threads.h"

namespace starloom {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kChunk = size_t(4) << 20, kLine = 64, kStreams = 4;
constexpr double kSeconds = 0.05;  // of one measurement

double seconds(Clock::time_point since) { return std::chrono::duration<double>(Clock::now() - since).count(); }

// Reads as many streams at once as a chunk has parts; a sum keeps the compiler from leaving it out.
uint64_t read(const uint8_t* data, size_t size) {
  const size_t part = size / kStreams / kLine * kLine;
  uint64_t sums[kStreams * 8] = {};
  for (size_t i = 0; i < part; i += kLine)
    for (size_t s = 0; s < kStreams; ++s)
      for (int word = 0; word < 8; ++word) {
        uint64_t x;
        std::memcpy(&x, data + s * part + i + 8 * word, 8);
        sums[8 * s + word] ^= x;
      }
  uint64_t all = 0;
  for (const uint64_t sum : sums) all ^= sum;
  return all;
}

double peak(Kind kind, Threads& threads) {
  const Kernels& kernel = kernels();
  const auto rate = [&](size_t rounds) {
    std::vector<double> operations(threads.count());
    const auto start = Clock::now();
    threads.everywhere([&](int thread) { operations[thread] = kernel.peak(kind, rounds); });
    const double time = seconds(start);
    double all = 0;
    for (const double one : operations) all += one;
    return std::pair(all / time, time);
  };
  size_t rounds = 1000;
  auto [best, time] = rate(rounds);
  while (time < kSeconds) std::tie(best, time) = rate(rounds *= 2);
  return best;
}

}  // namespace

double read_bandwidth(const uint8_t* data, size_t size, Threads& threads) {
  std::vector<uint64_t> kept((size + kChunk - 1) / kChunk);
  const auto start = Clock::now();
  threads.run(kept.size(), [&](size_t chunk, int) {
    kept[chunk] = read(data + chunk * kChunk, std::min(kChunk, size - chunk * kChunk));
  });
  volatile uint64_t all = 0;
  for (const uint64_t one : kept) all = all ^ one;
  return double(size) / seconds(start);
}

double int8_peak(Threads& threads) { return peak(Kind::q8, threads); }
double bf16_peak(Threads& threads) { return peak(Kind::bf16, threads); }
double f32_peak(Threads& threads) { return peak(Kind::f32, threads); }

}  // namespace starloom
