// The step of model.h: pre-norm blocks of attention and a plain MLP, each added to its input. Knows the order of things; what
// things do is in their own files.
#include "starloom/model.h"

#include <algorithm>
#include <cstring>

#include "starloom/threads.h"

namespace starloom {
namespace {

// One step under way.
class Step {
 public:
  Step(const Model& model, const Pages& pages, Threads& threads, Scratch& scratch, int rows)
      : model_(model), c_(model.config), pages_(pages), threads_(threads), s_(scratch), rows_(rows) {
    const size_t heads = c_.num_attention_heads, groups = c_.num_key_value_heads, n = rows;
    qkv_size_ = int((heads + 2 * groups) * c_.head_dim);
    attended_size_ = int(heads * c_.head_dim);
    x_ = s_.x.get<float>(n * c_.hidden_size);
    normed_ = s_.normed.get<float>(n * c_.hidden_size);
    qkv_ = s_.qkv.get<float>(n * qkv_size_);
    attended_ = s_.attended.get<float>(n * attended_size_);
    inner_ = s_.inner.get<float>(n * c_.intermediate_size);
  }

  void run(const int32_t* ids, const std::vector<Part>& parts, const int32_t* logit_rows, int num_logits, float* logits) {
    embed(ids);
    s_.rope.fill(parts, c_.head_dim, c_.rope_theta);
    lay(parts);
    const size_t last = model_.layers.size() - 1;
    for (size_t l = 0; l < last; ++l) {
      keys_and_queries(int(l), parts);
      attention(int(l));
      mlp(model_.layers[l]);
    }
    keys_and_queries(int(last), parts);
    if (num_logits == 0) return;
    if (num_logits < rows_) lay(wanted(parts, logit_rows, num_logits));
    s_.plan.attend(pages_, int(last), qkv_, attended_, threads_);
    keep_rows(logit_rows, num_logits);
    attention_output(model_.layers[last]);
    mlp(model_.layers[last]);
    layer_norm(model_.norm, c_.norm_epsilon, x_, rows_, c_.hidden_size, normed_, threads_);
    multiply_rows(model_.head, normed_, nullptr, Epilogue::store, logits, c_.vocab_size);
  }

 private:
  void embed(const int32_t* ids) {
    const auto row = [&](size_t r, int) { read_row(model_.embedding, ids[r], x_ + r * c_.hidden_size); };
    threads_.run(rows_, row);
  }

  void lay(const std::vector<Part>& parts) {
    s_.plan.lay(parts, c_.num_attention_heads, pages_, c_.sliding_window, threads_.count());
  }

  void keys_and_queries(int l, const std::vector<Part>& parts) {
    const Layer& layer = model_.layers[l];
    layer_norm(layer.input_norm, c_.norm_epsilon, x_, rows_, c_.hidden_size, normed_, threads_);
    multiply_rows(layer.qkv, normed_, layer.qkv_bias, Epilogue::store, qkv_, qkv_size_);
    rotate_and_keep(pages_, l, qkv_, c_.num_attention_heads, s_.rope, parts, threads_);
  }

  void attention(int l) {
    s_.plan.attend(pages_, l, qkv_, attended_, threads_);
    attention_output(model_.layers[l]);
  }

  void attention_output(const Layer& layer) {
    multiply_rows(layer.o, attended_, layer.o_bias, Epilogue::add, x_, c_.hidden_size);
  }

  void mlp(const Layer& layer) {
    layer_norm(layer.post_norm, c_.norm_epsilon, x_, rows_, c_.hidden_size, normed_, threads_);
    multiply_rows(layer.fc, normed_, layer.fc_bias, Epilogue::gelu, inner_, c_.intermediate_size);
    multiply_rows(layer.proj, inner_, layer.proj_bias, Epilogue::add, x_, c_.hidden_size);
  }

  void multiply_rows(const Matrix& w, const float* x, const float* bias, Epilogue epilogue, float* y, ptrdiff_t stride) {
    Activations a = {w.kind, rows_, w.columns, nullptr};
    a.data = s_.activations.get<uint8_t>(activation_bytes(w.kind, rows_, w.columns));
    prepare(a, x, w.columns, threads_);
    multiply(w, a, bias, epilogue, y, stride, threads_);
  }

  // In the last layer only the queries of rows with logits matter.
  std::vector<Part> wanted(const std::vector<Part>& parts, const int32_t* logit_rows, int num_logits) const {
    std::vector<Part> result;
    auto part = parts.begin();
    for (int i = 0; i < num_logits; ++i) {
      const int row = logit_rows[i], before = int(part - parts.begin());
      while (row >= part->first_row + part->count) ++part;
      const bool next = i > 0 && part - parts.begin() == before && row == logit_rows[i - 1] + 1;
      if (next)
        ++result.back().count;
      else
        result.push_back({row, 1, part->position + (row - part->first_row), part->table});
    }
    return result;
  }

  void keep_rows(const int32_t* rows, int count) {
    for (int i = 0; i < count && count < rows_; ++i) {
      std::memmove(x_ + size_t(i) * c_.hidden_size, x_ + size_t(rows[i]) * c_.hidden_size, c_.hidden_size * sizeof(float));
      std::memmove(attended_ + size_t(i) * attended_size_, attended_ + size_t(rows[i]) * attended_size_,
                   attended_size_ * sizeof(float));
    }
    rows_ = count;
  }

  const Model& model_;
  const Config& c_;
  const Pages& pages_;
  Threads& threads_;
  Scratch& s_;
  int rows_, qkv_size_, attended_size_;
  float *x_, *normed_, *qkv_, *attended_, *inner_;
};

}  // namespace

void step(const Model& model, const Pages& pages, const int32_t* ids, int rows, const std::vector<Part>& parts,
          const int32_t* logit_rows, int num_logits, float* logits, Threads& threads, Scratch& scratch) {
  if (rows == 0) return;
  Step(model, pages, threads, scratch, rows).run(ids, parts, logit_rows, num_logits, logits);
}

}  // namespace starloom
