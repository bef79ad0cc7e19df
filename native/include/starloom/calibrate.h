// What the machine can do at most, measured: the limits that speeds are compared with.
#pragma once

#include <cstddef>
#include <cstdint>

namespace starloom {

class Threads;

// Bytes a second at which all threads together read `data` once, in order. Results are of use from some 100 MB on.
double read_bandwidth(const uint8_t* data, size_t size, Threads& threads);

// Operations (2 a multiply-add) a second of the widest multiply-add of `current()` for 8-bit, bf16 and float32 numbers.
double int8_peak(Threads& threads);
double bf16_peak(Threads& threads);
double f32_peak(Threads& threads);

}  // namespace starloom
