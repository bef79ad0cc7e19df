// The one file in which Python sees the native core.
#include <nanobind/nanobind.h>

namespace nb = nanobind;

NB_MODULE(_native, m) { m.doc() = "The native core of starloom.engine; see native/include/starloom/."; }
