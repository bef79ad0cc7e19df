// Weights, activations and their product. The only file that says how packed weights lie in memory.
//
// Legend: M rows of activations (tokens), N outputs (rows of the weight matrix), K inputs.
// N is a multiple of 16 after padding (padded rows hold zeros); K is a multiple of 64.
#pragma once

#include <cstddef>
#include <cstdint>

namespace starloom {

class Threads;

enum class Kind : int { f32 = 0, bf16 = 1, q8 = 2, q4 = 3, q4m = 4 };

// A packed weight matrix [N, K]. Stripes of 16 rows follow each other; within a stripe, blocks of 64 inputs:
//
//   f32   [k 64][row 16] float                                                       4096 bytes a block
//   bf16  [k/2 32][row 16][2] bf16                                                   2048 bytes
//   q8    [group 2]{ [k/4 8][row 16][4] int8 }, [group 2][row 16] fp16 scale         1088 bytes (8.5 bits a weight)
//   q4    [group 2]{ [k/8 4][row 16][4] nibbles }, [group 2][row 16] fp16 scale       576 bytes (4.5 bits)
//   q4m   as q4, then [group 2][row 16] fp16 minimum                                  640 bytes (5 bits)
//
// A group is 32 inputs. In q4 and q4m, byte [j][row][i] of a group holds input 8j+i in its low nibble and input 8j+4+i in
// its high one. Values: q8 scale*q; q4 scale*(q-8); q4m scale*q+minimum.
struct Matrix {
  Kind kind;
  int rows;     // N without padding
  int columns;  // K
  const uint8_t* data;
};

constexpr int kStripe = 16, kBlock = 64, kGroup = 32;

size_t block_bytes(Kind kind);
size_t matrix_bytes(Kind kind, int rows, int columns);  // stripes(rows) * K/64 * block_bytes

// Rows of activations in the form in which matrices of one kind read them; made once, read by every matrix after a norm.
// For q8, q4, q4m: signed 8-bit times a power of two for each group of 32 of a row. What a row gives in a product does not
// depend on the rows beside it, to the bit. The layout is the kernels' own business; `activation_bytes` says how much to
// allocate.
struct Activations {
  Kind kind;
  int rows, columns;
  uint8_t* data;
};

size_t activation_bytes(Kind kind, int rows, int columns);
void prepare(const Activations& a, const float* x, ptrdiff_t stride, Threads& threads);

enum class Epilogue : int { store = 0, gelu = 1, add = 2 };  // y = z, y = gelu_tanh(z), y += z, with z = x W^T + bias

// y [M, N], `stride` floats from row to row; bias [N] or null. Splits the work over `threads`.
void multiply(const Matrix& w, const Activations& a, const float* bias, Epilogue epilogue, float* y, ptrdiff_t stride,
              Threads& threads);

}  // namespace starloom
