// Puts a model together over a packed file's memory: every tensor's kind, shape and place are checked against the
// configuration and the size of the data.
#include <cmath>
#include <set>
#include <stdexcept>

#include "starloom/checks.h"

namespace starloom {
namespace {

std::string number(double x) {
  std::string text = x == std::floor(x) && std::fabs(x) < 1e15 ? std::to_string(int64_t(x)) : std::to_string(x);
  return text;
}

int whole(const std::unordered_map<std::string, double>& values, const char* name, int least, int most, int multiple = 1) {
  const auto found = values.find(name);
  if (found == values.end()) throw std::invalid_argument(std::string("'") + name + "' is missing in the configuration");
  const double x = found->second;
  if (!(x >= least && x <= most) || x != std::floor(x) || int(x) % multiple != 0)
    throw std::invalid_argument(std::string("'") + name + "' is " + number(x) + "; it must be a whole number from " +
                                std::to_string(least) + " to " + std::to_string(most) +
                                (multiple > 1 ? ", a multiple of " + std::to_string(multiple) : ""));
  return int(x);
}

double real(const std::unordered_map<std::string, double>& values, const char* name, double above) {
  const auto found = values.find(name);
  if (found == values.end()) throw std::invalid_argument(std::string("'") + name + "' is missing in the configuration");
  if (!(found->second > above) || !std::isfinite(found->second))
    throw std::invalid_argument(std::string("'") + name + "' is " + number(found->second) + "; it must be above " + number(above));
  return found->second;
}

// The tensors of a file, taken one by one by name.
class Tensors {
 public:
  Tensors(const uint8_t* data, size_t size, const std::unordered_map<std::string, Stored>& all)
      : data_(data), size_(size), all_(all) {}

  bool has(const std::string& name) const { return all_.count(name) != 0; }

  Matrix matrix(const std::string& name, int rows, int columns) {
    const Stored& stored = take(name, rows, columns);
    if (stored.kind == "vector") throw std::invalid_argument("tensor '" + name + "' is a vector; it must be a matrix");
    const Kind kind = named(name, stored.kind);
    return {kind, rows, columns, place(name, stored, matrix_bytes(kind, rows, columns))};
  }

  const float* vector(const std::string& name, int length) {
    const Stored& stored = take(name, length, 1);
    if (stored.kind != "vector")
      throw std::invalid_argument("tensor '" + name + "' has kind '" + stored.kind + "'; it must be 'vector'");
    return reinterpret_cast<const float*>(place(name, stored, size_t(length) * sizeof(float)));
  }

  Norm norm(const std::string& name, int size) { return {vector(name + ".weight", size), vector(name + ".bias", size)}; }

  void check_all_taken() const {
    for (const auto& [name, stored] : all_)
      if (!taken_.count(name)) throw std::invalid_argument("tensor '" + name + "' has no place in this model");
  }

 private:
  const Stored& take(const std::string& name, int rows, int columns) {
    const auto found = all_.find(name);
    if (found == all_.end()) throw std::invalid_argument("tensor '" + name + "' is missing");
    const Stored& stored = found->second;
    if (stored.rows != rows || stored.columns != columns)
      throw std::invalid_argument("tensor '" + name + "' is " + std::to_string(stored.rows) + " x " +
                                  std::to_string(stored.columns) + "; the configuration makes it " + std::to_string(rows) +
                                  " x " + std::to_string(columns));
    taken_.insert(name);
    return stored;
  }

  static Kind named(const std::string& tensor, const std::string& kind) {
    try {
      return kind_named(kind);
    } catch (const std::invalid_argument& error) {
      throw std::invalid_argument("tensor '" + tensor + "': " + error.what());
    }
  }

  const uint8_t* place(const std::string& name, const Stored& stored, size_t bytes) const {
    if (stored.offset < 0 || uint64_t(stored.offset) > size_ || bytes > size_ - uint64_t(stored.offset))
      throw std::invalid_argument("tensor '" + name + "' takes " + std::to_string(bytes) + " bytes from " +
                                  std::to_string(stored.offset) + " on; the data has " + std::to_string(size_));
    const uint8_t* at = data_ + stored.offset;
    if (reinterpret_cast<uintptr_t>(at) % alignof(float) != 0)
      throw std::invalid_argument("tensor '" + name + "' lies at " + std::to_string(stored.offset) + ", not at a multiple of 4");
    return at;
  }

  const uint8_t* data_;
  size_t size_;
  const std::unordered_map<std::string, Stored>& all_;
  std::set<std::string> taken_;
};

Layer make_layer(const Config& c, Tensors& tensors, const std::string& name) {
  const int qkv = (c.num_attention_heads + 2 * c.num_key_value_heads) * c.head_dim;
  Layer layer;
  layer.input_norm = tensors.norm(name + "input_norm", c.hidden_size);
  layer.post_norm = tensors.norm(name + "post_norm", c.hidden_size);
  layer.qkv = tensors.matrix(name + "qkv", qkv, c.hidden_size);
  layer.qkv_bias = tensors.vector(name + "qkv.bias", qkv);
  layer.o = tensors.matrix(name + "o", c.hidden_size, c.num_attention_heads * c.head_dim);
  layer.o_bias = tensors.vector(name + "o.bias", c.hidden_size);
  layer.fc = tensors.matrix(name + "fc", c.intermediate_size, c.hidden_size);
  layer.fc_bias = tensors.vector(name + "fc.bias", c.intermediate_size);
  layer.proj = tensors.matrix(name + "proj", c.hidden_size, c.intermediate_size);
  layer.proj_bias = tensors.vector(name + "proj.bias", c.hidden_size);
  return layer;
}

}  // namespace

Kind kind_named(const std::string& name) {
  static constexpr const char* names[] = {"f32", "bf16", "q8", "q4", "q4m"};
  for (int i = 0; i < 5; ++i)
    if (name == names[i]) return Kind(i);
  throw std::invalid_argument("there is no kind '" + name + "'; known are f32, bf16, q8, q4, q4m");
}

Config make_config(const std::unordered_map<std::string, double>& values) {
  constexpr int kMost = 1 << 24;
  Config c;
  c.hidden_size = whole(values, "hidden_size", kBlock, kMost, kBlock);
  c.intermediate_size = whole(values, "intermediate_size", kBlock, kMost, kBlock);
  c.num_hidden_layers = whole(values, "num_hidden_layers", 1, 1 << 16);
  c.num_attention_heads = whole(values, "num_attention_heads", 1, 1 << 12);
  c.num_key_value_heads = whole(values, "num_key_value_heads", 1, c.num_attention_heads);
  c.head_dim = whole(values, "head_dim", 32, kMaxHeadDim, 32);
  c.vocab_size = whole(values, "vocab_size", 1, kMost);
  c.sliding_window = whole(values, "sliding_window", 0, INT32_MAX);
  c.rope_theta = real(values, "rope_theta", 0);
  c.norm_epsilon = float(real(values, "norm_epsilon", -1e-30));
  if (c.num_attention_heads % c.num_key_value_heads != 0)
    throw std::invalid_argument("'num_key_value_heads' is " + std::to_string(c.num_key_value_heads) +
                                "; it must divide num_attention_heads " + std::to_string(c.num_attention_heads));
  if (c.num_attention_heads * c.head_dim % kBlock != 0)
    throw std::invalid_argument("num_attention_heads x head_dim is " + std::to_string(c.num_attention_heads * c.head_dim) +
                                "; it must be a multiple of " + std::to_string(kBlock));
  return c;
}

Model make_model(const Config& c, const uint8_t* data, size_t size, const std::unordered_map<std::string, Stored>& all) {
  Tensors tensors(data, size, all);
  Model model;
  model.config = c;
  model.embedding = tensors.matrix("embedding", c.vocab_size, c.hidden_size);
  model.head = tensors.has("head") ? tensors.matrix("head", c.vocab_size, c.hidden_size) : model.embedding;
  model.norm = tensors.norm("norm", c.hidden_size);
  for (int i = 0; i < c.num_hidden_layers; ++i)
    model.layers.push_back(make_layer(c, tensors, "layers." + std::to_string(i) + "."));
  tensors.check_all_taken();
  return model;
}

}  // namespace starloom
