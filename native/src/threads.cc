// The pool of threads.h. One atomic word says which job is on and how many of its chunks nobody has taken yet; whoever takes
// a chunk may read the job, for it stays until that chunk is done. So a worker that the system has put aside holds up nobody:
// the caller takes all chunks itself. Knows nothing of what the work is.
#include "starloom/threads.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#if defined(__linux__)
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif
#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#endif

namespace starloom {
namespace {

constexpr int kMost = 1024;
constexpr auto kSpin = std::chrono::microseconds(300);  // longer than any pause between the regions of a step
constexpr int kPausesBetweenLooks = 64;                 // at the clock

void pause() {
#if defined(__x86_64__) || defined(_M_X64)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// True as soon as `ready()`; false when that took longer than kSpin.
template <class Ready>
bool spin(const Ready& ready) {
  const auto start = std::chrono::steady_clock::now();
  do {
    for (int i = 0; i < kPausesBetweenLooks; ++i) {
      if (ready()) return true;
      pause();
    }
  } while (std::chrono::steady_clock::now() - start < kSpin);
  return false;
}

#if defined(__linux__)
int first_sibling(int cpu) {  // of the hardware threads of its core; itself when that cannot be told
  const auto path = "/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/thread_siblings_list";
  int first = cpu;
  if (FILE* file = std::fopen(path.c_str(), "r")) {
    if (std::fscanf(file, "%d", &first) != 1) first = cpu;
    std::fclose(file);
  }
  return first;
}

// The CPUs that this process may use, one of each core before the second of any.
std::vector<int> allowed_cpus() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return {};
  std::vector<int> firsts, others, seen;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &set)) continue;
    const int core = first_sibling(cpu);
    bool known = false;
    for (int s : seen) known |= s == core;
    (known ? others : firsts).push_back(cpu);
    seen.push_back(core);
  }
  firsts.insert(firsts.end(), others.begin(), others.end());
  return firsts;
}

// A thread's own CPUs, put aside while it is pinned to one.
class Pin {
 public:
  void set(int cpu) {
    if (held_) return;
    thread_ = pid_t(syscall(SYS_gettid));
    if (sched_getaffinity(thread_, sizeof before_, &before_) != 0) return;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    held_ = sched_setaffinity(thread_, sizeof one, &one) == 0;
  }
  void release() {
    if (held_) sched_setaffinity(thread_, sizeof before_, &before_);
    held_ = false;
  }

 private:
  bool held_ = false;
  pid_t thread_ = 0;
  cpu_set_t before_;
};
#else
std::vector<int> allowed_cpus() { return {}; }
struct Pin {
  void set(int) {}
  void release() {}
};
#endif

}  // namespace

struct Threads::Pool {
  using Work = std::function<void(size_t, int)>;
  static constexpr uint64_t kLeft = 0xffffffff;  // the low half of `state`: chunks left; the high half counts jobs

  explicit Pool(int count) : cpus(allowed_cpus()) {
    pinned = size_t(count) <= cpus.size();
    patient = cpus.empty() || pinned;  // with fewer CPUs than threads, spinning takes time from the one that works
    try {
      for (int t = 1; t < count; ++t) workers.emplace_back([this, t] { live(t); });
    } catch (...) {  // the system gives no more threads
      end();
      throw;
    }
  }

  ~Pool() { end(); }

  void end() {
    stop.store(true);
    ring();
    for (auto& worker : workers) worker.join();
    caller.release();
  }

  // Takes a chunk of the job that is on; `finished` is a job of which this thread wants no more.
  bool take(uint64_t& job, uint64_t finished) {
    uint64_t seen = state.load();
    while ((seen & kLeft) != 0 && seen >> 32 != finished)
      if (state.compare_exchange_weak(seen, seen - 1)) {
        job = seen;
        return true;
      }
    return false;
  }

  // Works off chunks until there are none for this thread; returns the job to take no more of.
  uint64_t help(int thread, uint64_t finished) {
    for (uint64_t job; take(job, finished);) {
      try {
        if (!failed.load(std::memory_order_relaxed)) (*work)(chunks - (job & kLeft), thread);
      } catch (...) {
        if (!failed.exchange(true)) error = std::current_exception();
      }
      if (once) finished = job >> 32;
      done.fetch_add(1);
    }
    return finished;
  }

  void live(int thread) {
    if (pinned) Pin().set(cpus[thread]);
    for (uint64_t finished = ~uint64_t(0);;) {
      finished = help(thread, finished);
      const auto ready = [&] {
        const uint64_t seen = state.load();
        return stop.load() || ((seen & kLeft) != 0 && seen >> 32 != finished);
      };
      if (ready() || (patient && spin([&] { return ready() || resting.load(std::memory_order_relaxed); }) && ready())) {
        if (stop.load()) return;
        continue;
      }
      const int heard = bell.load();
      sleepers.fetch_add(1);  // before the look: a caller that misses it has published its job already
      if (!ready()) bell.wait(heard);
      sleepers.fetch_sub(1);
    }
  }

  void ring() {
    bell.fetch_add(1);
    bell.notify_all();
  }

  void run(size_t count, const Work& the_work, bool only_once) {
    if (count == 0) return;
    const std::lock_guard<std::mutex> lock(one_caller);
    if (pinned) caller.set(cpus[0]);
    work = &the_work;
    chunks = count;
    once = only_once;
    failed.store(false);
    done.store(0);
    resting.store(false);
    state.store((((state.load() >> 32) + 1) & kLeft) << 32 | count);
    if (sleepers.load() != 0) ring();
    help(0, ~uint64_t(0));
    const auto finished = [&] { return done.load() == count; };
    if (!patient || !spin(finished))
      while (!finished()) std::this_thread::yield();
    if (failed.load()) std::rethrow_exception(std::exchange(error, nullptr));
  }

  const std::vector<int> cpus;
  bool pinned, patient;
  std::vector<std::thread> workers;
  std::mutex one_caller;
  Pin caller;

  alignas(64) std::atomic<uint64_t> state{0};
  alignas(64) std::atomic<size_t> done{0};
  alignas(64) const Work* work = nullptr;
  size_t chunks = 0;
  bool once = false;  // each thread takes one chunk
  std::atomic<bool> failed{false};
  std::exception_ptr error;
  alignas(64) std::atomic<int> bell{0};
  std::atomic<int> sleepers{0};
  std::atomic<bool> stop{false}, resting{true};
};

Threads::Threads(int count) {
  if (count < 1 || count > kMost)
    throw std::invalid_argument("a pool has from 1 to " + std::to_string(kMost) + " threads, not " + std::to_string(count));
  pool_ = std::make_unique<Pool>(count);
}

Threads::~Threads() = default;

int Threads::count() const { return int(pool_->workers.size()) + 1; }

void Threads::run(size_t chunks, const std::function<void(size_t, int)>& work) {
  if (chunks > Pool::kLeft) throw std::invalid_argument("a job of " + std::to_string(chunks) + " chunks is too large");
  if (chunks == 1 || (chunks != 0 && pool_->workers.empty())) {
    for (size_t chunk = 0; chunk < chunks; ++chunk) work(chunk, 0);
    return;
  }
  pool_->run(chunks, work, false);
}

void Threads::everywhere(const std::function<void(int)>& work) {
  pool_->run(size_t(count()), [&](size_t, int thread) { work(thread); }, true);
}

void Threads::rest() {
  const std::lock_guard<std::mutex> lock(pool_->one_caller);
  pool_->resting.store(true);
  pool_->caller.release();
}

}  // namespace starloom
