// Plain C++ that every instruction set compiles for itself: reading memory as fast as it comes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace starloom {
namespace {

// All bytes, as two streams of lines; a result that depends on each keeps the compiler from leaving any out.
inline uint64_t read_all(const uint8_t* data, size_t size) {
  constexpr size_t kLine = 64, kWords = kLine / 8;
  const size_t half = size / 2 / kLine * kLine;
  uint64_t first[kWords] = {}, second[kWords] = {}, line[2][kWords], all = 0;
  for (size_t i = 0; i < half; i += kLine) {
    std::memcpy(line[0], data + i, kLine);
    std::memcpy(line[1], data + half + i, kLine);
    for (size_t word = 0; word < kWords; ++word) first[word] ^= line[0][word];
    for (size_t word = 0; word < kWords; ++word) second[word] ^= line[1][word];
  }
  for (size_t word = 0; word < kWords; ++word) all ^= first[word] ^ second[word];
  for (size_t i = 2 * half; i < size; ++i) all ^= data[i];
  return all;
}

}  // namespace
}  // namespace starloom
