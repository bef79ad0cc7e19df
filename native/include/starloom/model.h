// A whole StarCoder 2 decoder step: ids in, logits out. One call a step crosses the Python border.
#pragma once

#include <cstdint>
#include <vector>

#include "starloom/attention.h"
#include "starloom/matrix.h"

namespace starloom {

struct Config {
  int hidden_size, intermediate_size, num_hidden_layers, num_attention_heads, num_key_value_heads, head_dim, vocab_size;
  int sliding_window;  // keys a query sees, itself among them; 0 for all
  float rope_theta, norm_epsilon;
};

struct Norm {
  const float *weight, *bias;
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

class Scratch;  // grows to the largest step seen

// Runs `rows` ids; `parts` cover them in order. `logit_rows` [num_logits] name the rows whose logits [num_logits, vocab_size]
// are wanted. Writes the new keys and values into `pages`.
void step(const Model& model, const Pages& pages, const int32_t* ids, int rows, const std::vector<Part>& parts,
          const int32_t* logit_rows, int num_logits, float* logits, Threads& threads, Scratch& scratch);

}  // namespace starloom
