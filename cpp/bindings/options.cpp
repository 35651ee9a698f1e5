#include "bindings/options.h"

#include <pybind11/stl.h>

#include <string>

namespace prowingen::bindings {
namespace py = pybind11;

Options read_options(const py::dict& values) {
  Options options;
  std::size_t known = 0;
#define PROWINGEN_OPTION(type, name, ...)                                              \
  if (values.contains(#name)) {                                                        \
    ++known;                                                                           \
    try {                                                                              \
      options.name = values[#name].cast<type>();                                       \
    } catch (const py::cast_error&) {                                                  \
      throw py::value_error(#name ": " + py::repr(values[#name]).cast<std::string>() + \
                            " is not a " #type);                                       \
    }                                                                                  \
  }
#include "options.inc"
#undef PROWINGEN_OPTION
  if (known != values.size()) throw py::value_error("options: one of them is not known");
  return options;
}

}  // namespace prowingen::bindings
