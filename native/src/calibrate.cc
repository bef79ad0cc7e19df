// The measuring loops of calibrate.h.
#include "starloom/calibrate.h"

#include <algorithm>
#include <chrono>
#include <tuple>
#include <utility>
#include <vector>

#include "kernels.h"
#include "starloom/threads.h"

namespace starloom {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kChunk = size_t(4) << 20;  // handed out one by one, so that threads read close together
constexpr double kSeconds = 0.05;  // of one measurement

double seconds(Clock::time_point since) { return std::chrono::duration<double>(Clock::now() - since).count(); }

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
  threads.run(kept.size(), [&, &kernel = kernels()](size_t chunk, int) {
    kept[chunk] = kernel.read(data + chunk * kChunk, std::min(kChunk, size - chunk * kChunk));
  });
  volatile uint64_t all = 0;
  for (const uint64_t one : kept) all = all ^ one;
  return double(size) / seconds(start);
}

double int8_peak(Threads& threads) { return peak(Kind::q4, threads); }  // never slower than q8, where signs may cost
double bf16_peak(Threads& threads) { return peak(Kind::bf16, threads); }
double f32_peak(Threads& threads) { return peak(Kind::f32, threads); }

}  // namespace starloom
