// Reserved memory: a private map that the system fills with zeros at first touch, in large pages where it can.
#include "starloom/reserved.h"

#include <cstdlib>
#include <new>

#if defined(__unix__) || defined(__APPLE__)
#include <sys/mman.h>
#endif

namespace starloom {

#if defined(__unix__) || defined(__APPLE__)

Reserved::Reserved(size_t bytes) : bytes_(bytes) {
#if defined(MAP_NORESERVE)
  constexpr int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
#else
  constexpr int flags = MAP_PRIVATE | MAP_ANONYMOUS;
#endif
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
#if defined(MADV_HUGEPAGE)
  madvise(memory, bytes, MADV_HUGEPAGE);  // a wish
#endif
  data_ = static_cast<uint8_t*>(memory);
}

Reserved::~Reserved() { munmap(data_, bytes_); }

#else

Reserved::Reserved(size_t bytes) : data_(static_cast<uint8_t*>(std::calloc(bytes, 1))), bytes_(bytes) {
  if (data_ == nullptr) throw std::bad_alloc();
}

Reserved::~Reserved() { std::free(data_); }

#endif

}  // namespace starloom
