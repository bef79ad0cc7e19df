// A whole StarCoder 2 decoder step: ids in, logits out. One call a step crosses the Python border.
#pragma once

#include <cstdint>
#include <vector>

#include "starloom/attention.h"
#include "starloom/buffer.h"
#include "starloom/matrix.h"
#include "starloom/norm.h"

namespace starloom {

struct Config {
  int hidden_size, intermediate_size, num_hidden_layers, num_attention_heads, num_key_value_heads, head_dim, vocab_size;
  int sliding_window;  // keys a query sees, itself among them; 0 for all
  double rope_theta;
  float norm_epsilon;
};

// q, k and v are one matrix [H*D + 2*G*D, hidden] with one bias.
struct Layer {
  Norm input_norm, post_norm;
  Matrix qkv, o, fc, proj;
  const float *qkv_bias, *o_bias, *fc_bias, *proj_bias;
};

struct Model {
  Config config;
  Matrix embedding;  // also read row by row
  Matrix head;       // the embedding again when tied
  Norm norm;
  std::vector<Layer> layers;
};

// The memory of a step, kept from step to step; grows to the largest seen.
struct Scratch {
  Buffer x, normed, qkv, attended, inner, activations;
  Rope rope;
  AttentionPlan plan;
};

// Reads one row of a packed matrix as float32 [columns].
void read_row(const Matrix& w, int row, float* x);

// Runs `rows` ids; `parts` cover them in order. `logit_rows` [num_logits], ascending, name the rows whose logits [num_logits,
// vocab_size] are wanted. Writes the new keys and values into `pages`.
void step(const Model& model, const Pages& pages, const int32_t* ids, int rows, const std::vector<Part>& parts,
          const int32_t* logit_rows, int num_logits, float* logits, Threads& threads, Scratch& scratch);

}  // namespace starloom
