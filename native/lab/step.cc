// Runs steps of a small random model with the generic kernels and prints logits, to compare kinds of machines. On AArch64 under
// emulation (GCC 12, QEMU 7.2) they agree with x86 to four digits, but for bf16, where the last digit of a sum tips the rounding of
// what comes next: there to 1e-2.
//
//   PLAIN=$(ls native/src/*.cc | grep -vE '_(avx2|avx512|vnni)\.cc')
//   aarch64-linux-gnu-g++ -std=c++20 -O2 -static -Inative/include native/lab/step.cc $PLAIN -pthread -o there
//   g++ -std=c++20 -O2 -Inative/include native/lab/step.cc build/lab/CMakeFiles/_native.dir/native/src/*.o -pthread -o here
//   diff <(./here) <(qemu-aarch64 ./there)
#include <cstdint>
#include <cstdio>
#include <deque>
#include <random>
#include <vector>

#include "starloom/isa.h"
#include "starloom/model.h"
#include "starloom/pack.h"
#include "starloom/threads.h"

using namespace starloom;

namespace {

class Small {
 public:
  Small(Kind kind, Threads& threads) : kind_(kind), threads_(threads) {
    Config& c = model.config;
    c = {128, 256, 2, 4, 2, 32, 96, 40, 10000.0, 1e-5f};
    model.embedding = matrix(c.vocab_size, c.hidden_size);
    model.head = matrix(c.vocab_size, c.hidden_size);
    model.norm = norm();
    for (int l = 0; l < c.num_hidden_layers; ++l) {
      const int attended = c.num_attention_heads * c.head_dim, all = attended + 2 * c.num_key_value_heads * c.head_dim;
      model.layers.push_back({norm(), norm(), matrix(all, c.hidden_size), matrix(c.hidden_size, attended),
                              matrix(c.intermediate_size, c.hidden_size), matrix(c.hidden_size, c.intermediate_size), floats(all),
                              floats(c.hidden_size), floats(c.intermediate_size), floats(c.hidden_size)});
    }
  }

  Model model;

 private:
  // From whole numbers, since the distributions of the standard library differ between machines.
  float draw() { return float(int(generator_() >> 8) - (1 << 23)) / float(1 << 23); }

  const float* floats(int count, float scale = 0.1f, float middle = 0) {
    std::vector<float>& values = floats_.emplace_back(count);
    for (float& value : values) value = middle + scale * draw();
    return values.data();
  }
  Norm norm() { return {floats(model.config.hidden_size, 0.1f, 1), floats(model.config.hidden_size)}; }
  Matrix matrix(int rows, int columns) {
    const float* values = floats(rows * columns, 0.2f);
    std::vector<uint8_t>& packed = packed_.emplace_back(matrix_bytes(kind_, rows, columns));
    pack(kind_, values, rows, columns, packed.data(), threads_);
    return {kind_, rows, columns, packed.data()};
  }

  const Kind kind_;
  Threads& threads_;
  std::mt19937 generator_{7};
  std::deque<std::vector<float>> floats_;
  std::deque<std::vector<uint8_t>> packed_;
};

void run(Kind kind, const char* kind_name, Threads& threads) {
  const Small small(kind, threads);
  const Config& c = small.model.config;
  Pages pages = {c.num_hidden_layers, c.num_key_value_heads, c.head_dim, false, 4, nullptr};
  std::vector<uint8_t> memory(pages.count * pages.page_bytes());
  pages.data = memory.data();
  const int32_t table[] = {2, 0, 3, 1};
  std::vector<int32_t> ids(90);
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = int32_t(i * 37 % 96);
  Scratch scratch;
  int position = 0;
  for (const int rows : {70, 1, 19}) {
    const std::vector<Part> parts = {{0, rows, position, table}};
    const int32_t last = rows - 1;
    std::vector<float> logits(c.vocab_size);
    step(small.model, pages, ids.data() + position, rows, parts, &last, 1, logits.data(), threads, scratch);
    position += rows;
    std::printf("%-4s %2d rows:", kind_name, rows);
    for (int i = 0; i < c.vocab_size; i += 12) std::printf(" %.4g", double(logits[i]));
    std::printf("\n");
  }
}

}  // namespace

int main() {
  force(Isa::generic);
  Threads threads(2);
  const char* names[] = {"f32", "bf16", "q8", "q4", "q4m"};
  for (int kind = 0; kind < 5; ++kind) run(Kind(kind), names[kind], threads);
}
