// A pinned pool: the calling thread and count-1 workers. Within a step workers spin between parallel regions; `rest` lets
// them sleep, so an idle engine uses no CPU.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

namespace starloom {

class Threads {
 public:
  explicit Threads(int count);  // at least 1
  ~Threads();
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

  int count() const;
  // Calls work(chunk, thread) once for each chunk of 0..chunks-1, handed out one by one; returns when all are done.
  void run(size_t chunks, const std::function<void(size_t chunk, int thread)>& work);
  // Every thread once, at the same time: work(thread).
  void everywhere(const std::function<void(int thread)>& work);
  void rest();  // workers sleep until the next run

 private:
  struct Pool;
  std::unique_ptr<Pool> pool_;
};

}  // namespace starloom
