// The instruction sets of isa.h, asked of the processor once.
#include "starloom/isa.h"

#include <atomic>
#include <stdexcept>

namespace starloom {
namespace {

bool supported(Isa isa) {
#if defined(__x86_64__) && defined(__GNUC__)
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  switch (isa) {
    case Isa::generic: return true;
    case Isa::avx2: return avx2;
    case Isa::avx512: return avx512;
    case Isa::vnni: return avx512 && __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bf16");
  }
#endif
  return isa == Isa::generic;
}

std::atomic<Isa>& chosen() {
  static std::atomic<Isa> isa{available().back()};
  return isa;
}

}  // namespace

std::vector<Isa> available() {
  std::vector<Isa> all;
  for (const Isa isa : {Isa::generic, Isa::avx2, Isa::avx512, Isa::vnni})
    if (supported(isa)) all.push_back(isa);
  return all;
}

Isa current() { return chosen().load(std::memory_order_relaxed); }

void force(Isa isa) {
  if (!supported(isa))
    throw std::invalid_argument(std::string("this machine lacks the instructions of '") + name(isa) + "'; the best it has is '" +
                                name(available().back()) + "'");
  chosen().store(isa);
}

const char* name(Isa isa) {
  switch (isa) {
    case Isa::avx2: return "avx2";
    case Isa::avx512: return "avx512";
    case Isa::vnni: return "vnni";
    case Isa::generic: break;
  }
  return "generic";
}

}  // namespace starloom
