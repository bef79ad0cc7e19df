// LayerNorm with weight and bias, in float32.
#pragma once

namespace starloom {

class Threads;

struct Norm {
  const float *weight, *bias;
};

// y [rows, size] = (x - mean) / sqrt(variance + epsilon) * weight + bias, row by row.
void layer_norm(const Norm& norm, float epsilon, const float* x, int rows, int size, float* y, Threads& threads);

}  // namespace starloom
