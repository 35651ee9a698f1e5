#include "wsgi/trailers.h"

#include "wsgi/runtime.h"

namespace prowingen::wsgi {

PyObject* LentTrailers::lend(const Exchange& exchange, bool& to_come) {
  if (!list_) list_ = PyRef::steal(PyList_New(0));
  to_come = exchange.may_have_trailers && !exchange.body_whole();
  if (list_ && exchange.may_have_trailers && !to_come && !fill_trailers(list_.get(), exchange)) {
    return nullptr;
  }
  return list_.get();
}

void LentTrailers::take_back() {
  if (!list_) return;
#ifdef Py_GIL_DISABLED
  list_ = PyRef();  // who else refers to it, no count tells
#else
  if (Py_REFCNT(list_.get()) != 1 || PyList_GET_SIZE(list_.get()) != 0) list_ = PyRef();
#endif
}

namespace {

// Up to Python 3.11 making an object may run whatever garbage has to say at its end, which may give
// up the GIL: the exchange and the list could be another request's after that.
class NoCollection {
 public:
  NoCollection() = default;
  ~NoCollection() {
    if (was_on_) PyGC_Enable();
  }
  NoCollection(const NoCollection&) = delete;
  NoCollection& operator=(const NoCollection&) = delete;

 private:
  const bool was_on_ = PyGC_Disable() != 0;
};

}  // namespace

bool fill_trailers(PyObject* trailers, const Exchange& exchange) {
  const NoCollection in_one_go;
  const FieldSection* section = exchange.trailers();
  if (section == nullptr) return true;
  const PyRef pairs = PyRef::steal(PyList_New(0));
  if (!pairs) return false;
  for (const FieldLine& field : section->fields()) {
    const PyRef name = PyRef::steal(latin1(section->view(field.name)));
    const PyRef value = PyRef::steal(latin1(section->view(field.value)));
    if (!name || !value) return false;
    const PyRef pair = PyRef::steal(PyTuple_Pack(2, name.get(), value.get()));
    if (!pair || PyList_Append(pairs.get(), pair.get()) < 0) return false;
  }
  return PyList_SetSlice(trailers, PY_SSIZE_T_MAX, PY_SSIZE_T_MAX, pairs.get()) == 0;
}

}  // namespace prowingen::wsgi
