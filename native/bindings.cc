// The one file in which Python sees the native core (src/starloom/engine/_native.pyi). It turns arrays into pointers and
// copies what a step reads of them, so that nobody changes it meanwhile; checks are in checks.h, the work is elsewhere.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/unordered_map.h>
#include <nanobind/stl/vector.h>

#include <cstring>
#include <mutex>
#include <stdexcept>

#include "starloom/attention.h"
#include "starloom/calibrate.h"
#include "starloom/checks.h"
#include "starloom/isa.h"
#include "starloom/model.h"
#include "starloom/norm.h"
#include "starloom/pack.h"
#include "starloom/reserved.h"
#include "starloom/threads.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace starloom {
namespace {

template <class T, int Dimensions>
using In = nb::ndarray<const T, nb::ndim<Dimensions>, nb::c_contig, nb::device::cpu>;
template <int Dimensions>
using Out = nb::ndarray<nb::numpy, float, nb::ndim<Dimensions>, nb::c_contig>;
using Ints = std::vector<int32_t>;

Ints copy(const In<int32_t, 1>& array) { return Ints(array.data(), array.data() + array.size()); }
Numbers numbers(const Ints& ints) { return {ints.data(), ints.size()}; }

// A new array of numpy's own, not filled.
Out<2> make_array(size_t rows, size_t columns) {
  float* data = new float[rows * columns];
  nb::capsule owner(data, [](void* p) noexcept { delete[] static_cast<float*>(p); });
  return Out<2>(data, {rows, columns}, owner);
}

// Workers sleep when the call that used them ends.
struct Resting {
  Threads& threads;
  ~Resting() { threads.rest(); }
};

struct PyPages {
  Pages pages;
  Reserved memory;

  PyPages(int64_t layers, int64_t kv_heads, int64_t head_dim, int64_t count, bool wide)
      : pages(make_pages(layers, kv_heads, head_dim, count, wide)), memory(pages.count * pages.page_bytes()) {
    pages.data = memory.data();
  }

  void copy(int64_t source, int64_t target) {
    for (const int64_t page : {source, target})
      if (page < 0 || uint64_t(page) >= pages.count)
        throw std::invalid_argument("page " + std::to_string(page) + " does not exist; pages are from 0 to " +
                                    std::to_string(pages.count - 1));
    const size_t bytes = pages.page_bytes();
    if (source != target) std::memcpy(pages.data + target * bytes, pages.data + source * bytes, bytes);
  }
};

struct PyModel {
  using Tensors = std::unordered_map<std::string, std::tuple<std::string, int64_t, int64_t, int64_t>>;

  In<uint8_t, 1> data;  // kept alive
  Model model;
  Scratch scratch;
  std::mutex one_step;

  PyModel(In<uint8_t, 1> bytes, const std::unordered_map<std::string, double>& config, const Tensors& tensors)
      : data(std::move(bytes)) {
    std::unordered_map<std::string, Stored> all;
    for (const auto& [name, t] : tensors) all[name] = {std::get<0>(t), std::get<1>(t), std::get<2>(t), std::get<3>(t)};
    model = make_model(make_config(config), data.data(), data.size(), all);
  }

  void check_pages(const Pages& pages) const {
    const Config& c = model.config;
    if (pages.layers != c.num_hidden_layers || pages.kv_heads != c.num_key_value_heads || pages.head_dim != c.head_dim)
      throw std::invalid_argument("pages are for " + std::to_string(pages.layers) + " layers of " +
                                  std::to_string(pages.kv_heads) + " heads of " + std::to_string(pages.head_dim) +
                                  "; the model has " + std::to_string(c.num_hidden_layers) + " of " +
                                  std::to_string(c.num_key_value_heads) + " of " + std::to_string(c.head_dim));
  }

  Out<2> step(PyPages& pages, In<int32_t, 1> ids, In<int32_t, 1> row_starts, In<int32_t, 1> positions, In<int32_t, 1> tables,
              In<int32_t, 1> table_starts, In<int32_t, 1> logit_rows, Threads& threads) {
    const Ints own_ids = copy(ids), own_tables = copy(tables), own_rows = copy(logit_rows);
    const Ints rows = copy(row_starts), at = copy(positions), starts = copy(table_starts);
    check_pages(pages.pages);
    check_ids(numbers(own_ids), model.config.vocab_size);
    check_logit_rows(numbers(own_rows), own_ids.size());
    const std::vector<Part> parts = make_parts(numbers(rows), numbers(at), numbers(own_tables), numbers(starts),
                                               own_ids.size(), pages.pages, model.config.sliding_window);
    Out<2> logits = make_array(own_rows.size(), model.config.vocab_size);
    float* data_of_logits = logits.data();
    {
      const nb::gil_scoped_release no_gil;
      const std::lock_guard<std::mutex> lock(one_step);
      const Resting resting{threads};
      starloom::step(model, pages.pages, own_ids.data(), int(own_ids.size()), parts, own_rows.data(), int(own_rows.size()),
                     data_of_logits, threads, scratch);
    }
    return logits;
  }
};

Out<2> py_layer_norm(In<float, 2> x, In<float, 1> weight, In<float, 1> bias, float epsilon) {
  const size_t rows = x.shape(0), size = x.shape(1);
  if (size == 0 || weight.size() != size || bias.size() != size)
    throw std::invalid_argument("x has rows of " + std::to_string(size) + ", weight " + std::to_string(weight.size()) +
                                ", bias " + std::to_string(bias.size()) + "; they must be equal and not 0");
  Out<2> y = make_array(rows, size);
  Threads alone(1);
  layer_norm({weight.data(), bias.data()}, epsilon, x.data(), int(rows), int(size), y.data(), alone);
  return y;
}

// parts [n, 2]: how many rows, and the position of the first.
Out<2> py_attend(PyPages& pages, int layer, In<float, 2> qkv, In<int32_t, 2> parts, In<int32_t, 1> tables,
                 In<int32_t, 1> table_starts, int heads, int window, double theta, Threads& threads) {
  const Pages& p = pages.pages;
  const size_t rows = qkv.shape(0), columns = qkv.shape(1);
  if (layer < 0 || layer >= p.layers) throw std::invalid_argument("layer is " + std::to_string(layer) + ", of " + std::to_string(p.layers));
  if (heads < 1 || heads > 4096 || heads % p.kv_heads != 0 || columns != size_t(heads + 2 * p.kv_heads) * p.head_dim)
    throw std::invalid_argument(std::to_string(heads) + " heads over " + std::to_string(p.kv_heads) + " key-value heads of " +
                                std::to_string(p.head_dim) + " do not go with rows of " + std::to_string(columns));
  if (window < 0 || !(theta > 0)) throw std::invalid_argument("window and theta must not be negative");
  if (parts.shape(1) != 2) throw std::invalid_argument("parts has rows of " + std::to_string(parts.shape(1)) + "; they must be pairs");
  Ints starts{0}, positions;
  for (size_t i = 0; i < parts.shape(0); ++i) {
    starts.push_back(int32_t(uint32_t(starts.back()) + uint32_t(parts.data()[2 * i])));
    positions.push_back(parts.data()[2 * i + 1]);
  }
  const Ints own_tables = copy(tables), own_starts = copy(table_starts);
  const std::vector<Part> checked = make_parts(numbers(starts), numbers(positions), numbers(own_tables), numbers(own_starts), rows, p, window);
  std::vector<float> turned(qkv.data(), qkv.data() + qkv.size());
  Out<2> out = make_array(rows, size_t(heads) * p.head_dim);
  if (rows == 0) return out;
  const Resting resting{threads};
  Rope rope;
  rope.fill(checked, p.head_dim, theta);
  rotate_and_keep(p, layer, turned.data(), heads, rope, checked, threads);
  AttentionPlan plan;
  plan.lay(checked, heads, p, window, threads.count());
  plan.attend(p, layer, turned.data(), out.data(), threads);
  return out;
}

// A packed matrix of its own in `data`.
Matrix make_matrix(const In<uint8_t, 1>& data, const std::string& kind, int64_t rows, int64_t columns) {
  check_matrix_size(rows, columns);
  const Matrix w = {kind_named(kind), int(rows), int(columns), data.data()};
  if (const size_t bytes = matrix_bytes(w.kind, w.rows, w.columns); data.size() != bytes)
    throw std::invalid_argument("data has " + std::to_string(data.size()) + " bytes; " + kind + " of " + std::to_string(rows) + " x " +
                                std::to_string(columns) + " takes " + std::to_string(bytes));
  return w;
}

nb::ndarray<nb::numpy, uint8_t, nb::ndim<1>> py_pack(In<float, 2> weights, const std::string& kind, Threads& threads) {
  const Kind to = kind_named(kind);
  check_matrix_size(int64_t(weights.shape(0)), int64_t(weights.shape(1)));
  const int rows = int(weights.shape(0)), columns = int(weights.shape(1));
  const size_t bytes = matrix_bytes(to, rows, columns);
  uint8_t* data = new uint8_t[bytes];
  nb::capsule owner(data, [](void* p) noexcept { delete[] static_cast<uint8_t*>(p); });
  {
    const nb::gil_scoped_release no_gil;
    const Resting resting{threads};
    pack(to, weights.data(), rows, columns, data, threads);
  }
  return nb::ndarray<nb::numpy, uint8_t, nb::ndim<1>>(data, {bytes}, owner);
}

Out<2> py_unpack(In<uint8_t, 1> data, const std::string& kind, int64_t rows, int64_t columns) {
  const Matrix w = make_matrix(data, kind, rows, columns);
  Out<2> weights = make_array(w.rows, w.columns);
  for (int row = 0; row < w.rows; ++row) read_row(w, row, weights.data() + size_t(row) * w.columns);
  return weights;
}

void py_multiply(In<uint8_t, 1> data, const std::string& kind, int64_t rows, int64_t columns, In<float, 2> x,
                 std::optional<In<float, 1>> bias, const std::string& epilogue,
                 nb::ndarray<float, nb::ndim<2>, nb::c_contig, nb::device::cpu> y, Threads& threads) {
  const Matrix w = make_matrix(data, kind, rows, columns);
  const size_t count = x.shape(0);
  if (count > kMostRows || x.shape(1) != size_t(columns) || y.shape(0) != count || y.shape(1) != size_t(rows))
    throw std::invalid_argument("x is " + std::to_string(count) + " x " + std::to_string(x.shape(1)) + " and y " +
                                std::to_string(y.shape(0)) + " x " + std::to_string(y.shape(1)) + "; they must be M x " +
                                std::to_string(columns) + " and M x " + std::to_string(rows));
  if (bias && bias->size() != size_t(rows))
    throw std::invalid_argument("bias has " + std::to_string(bias->size()) + " numbers, for " + std::to_string(rows) + " rows");
  const Epilogue last = epilogue_named(epilogue);
  const nb::gil_scoped_release no_gil;
  const Resting resting{threads};
  Buffer buffer;
  const Activations a = {w.kind, int(count), w.columns, buffer.get<uint8_t>(activation_bytes(w.kind, int(count), w.columns))};
  prepare(a, x.data(), columns, threads);
  multiply(w, a, bias ? bias->data() : nullptr, last, y.data(), rows, threads);
}

double py_read_bandwidth(In<uint8_t, 1> data, Threads& threads) {
  const nb::gil_scoped_release no_gil;
  const Resting resting{threads};
  return read_bandwidth(data.data(), data.size(), threads);
}

template <double (*measure)(Threads&)>
double py_peak(Threads& threads) {
  const nb::gil_scoped_release no_gil;
  const Resting resting{threads};
  return measure(threads);
}

void bind_kernels(nb::module_& m) {
  m.def("pack", &py_pack, "weights"_a.noconvert(), "kind"_a, "threads"_a);
  m.def("unpack", &py_unpack, "data"_a.noconvert(), "kind"_a, "rows"_a, "columns"_a);
  m.def("multiply", &py_multiply, "data"_a.noconvert(), "kind"_a, "rows"_a, "columns"_a, "x"_a.noconvert(),
        "bias"_a.noconvert().none(), "epilogue"_a, "y"_a.noconvert(), "threads"_a);
  m.def("read_bandwidth", &py_read_bandwidth, "data"_a.noconvert(), "threads"_a);
  m.def("int8_peak", &py_peak<int8_peak>, "threads"_a);
  m.def("bf16_peak", &py_peak<bf16_peak>, "threads"_a);
  m.def("f32_peak", &py_peak<f32_peak>, "threads"_a);
}

void bind_isa(nb::module_& m) {
  m.def("available_isas", [] {
    std::vector<std::string> names;
    for (const Isa isa : available()) names.push_back(name(isa));
    return names;
  });
  m.def("current_isa", [] { return std::string(name(current())); });
  m.def("force_isa", [](const std::string& wanted) {
    for (const Isa isa : {Isa::generic, Isa::avx2, Isa::avx512, Isa::vnni})
      if (wanted == name(isa)) return force(isa);
    throw std::invalid_argument("there is no instruction set '" + wanted + "'; known are generic, avx2, avx512, vnni");
  }, "name"_a);
}

// Calls a Python function for each chunk, for tests: how work is handed out, and what becomes of errors.
void py_run(Threads& threads, size_t chunks, const nb::callable& work) {
  const nb::gil_scoped_release no_gil;
  const Resting resting{threads};
  threads.run(chunks, [&](size_t chunk, int thread) {
    const nb::gil_scoped_acquire gil;
    try {
      work(chunk, thread);
    } catch (nb::python_error& error) {
      throw std::runtime_error(error.what());
    }
  });
}

void bind_decoder(nb::module_& m) {
  nb::class_<Threads>(m, "Threads")
      .def(nb::init<int>(), "count"_a)
      .def_prop_ro("count", &Threads::count)
      .def("run", &py_run, "chunks"_a, "work"_a);
  nb::class_<PyPages>(m, "Pages")
      .def(nb::init<int64_t, int64_t, int64_t, int64_t, bool>(), "layers"_a, "kv_heads"_a, "head_dim"_a, "count"_a,
           "wide"_a = false)
      .def_prop_ro("count", [](const PyPages& p) { return p.pages.count; })
      .def_prop_ro("page_bytes", [](const PyPages& p) { return p.pages.page_bytes(); })
      .def("copy", &PyPages::copy, "source"_a, "target"_a);
  nb::class_<PyModel>(m, "Model")
      .def(nb::init<In<uint8_t, 1>, const std::unordered_map<std::string, double>&, const PyModel::Tensors&>(), "data"_a,
           "config"_a, "tensors"_a)
      .def("step", &PyModel::step, "pages"_a, "ids"_a, "row_starts"_a, "positions"_a, "tables"_a, "table_starts"_a,
           "logit_rows"_a, "threads"_a);
  m.def("layer_norm", &py_layer_norm, "x"_a, "weight"_a, "bias"_a, "epsilon"_a);
  m.def("attend", &py_attend, "pages"_a, "layer"_a, "qkv"_a, "parts"_a, "tables"_a, "table_starts"_a, "heads"_a, "window"_a,
        "theta"_a, "threads"_a);
}

}  // namespace
}  // namespace starloom

NB_MODULE(_native, m) {
  nb::set_leak_warnings(false);  // a program may end while it holds an engine
  m.doc() = "The native core of starloom.engine; see native/include/starloom/.";
  starloom::bind_isa(m);
  starloom::bind_decoder(m);
  starloom::bind_kernels(m);
}
