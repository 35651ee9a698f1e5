#include "wsgi/input.h"

#include <memory>
#include <new>
#include <optional>

#include "wsgi/binary_stream.h"
#include "wsgi/body_reader.h"
#include "wsgi/environ.h"
#include "wsgi/runtime.h"

namespace prowingen::wsgi {
namespace {

struct InputObject {
  PyObject_HEAD BodyReader reader;
};

BodyReader& reader_of(PyObject* self) { return reinterpret_cast<InputObject*>(self)->reader; }

// The size arguments of io.BufferedIOBase: none, None and negative numbers mean "no limit".
bool parse_limit(const char* method, PyObject* const* args, Py_ssize_t count,
                 std::optional<std::size_t>& limit) {
  if (count > 1) {
    PyErr_Format(PyExc_TypeError, "%s() takes at most 1 argument (%zd given)", method, count);
    return false;
  }
  if (count == 0 || args[0] == Py_None) return true;
  const Py_ssize_t size = PyNumber_AsSsize_t(args[0], PyExc_OverflowError);
  if (size == -1 && PyErr_Occurred()) return false;
  if (size >= 0) limit = static_cast<std::size_t>(size);
  return true;
}

PyObject* input_read(PyObject* self, PyObject* const* args, Py_ssize_t count) {
  std::optional<std::size_t> limit;
  if (!parse_limit("read", args, count, limit)) return nullptr;
  return reader_of(self).read(limit);
}

PyObject* input_read1(PyObject* self, PyObject* const* args, Py_ssize_t count) {
  std::optional<std::size_t> limit;
  if (!parse_limit("read1", args, count, limit)) return nullptr;
  return reader_of(self).read_some(limit);
}

PyObject* read_into(PyObject* self, PyObject* target, bool all) {
  Py_buffer buffer;
  if (PyArg_Parse(target, "w*", &buffer) == 0) return nullptr;
  const Py_ssize_t size = reader_of(self).read_into(buffer, all);
  PyBuffer_Release(&buffer);
  return size < 0 ? nullptr : PyLong_FromSsize_t(size);
}

PyObject* input_readinto(PyObject* self, PyObject* target) { return read_into(self, target, true); }

PyObject* input_readinto1(PyObject* self, PyObject* target) {
  return read_into(self, target, false);
}

PyObject* input_readline(PyObject* self, PyObject* const* args, Py_ssize_t count) {
  std::optional<std::size_t> limit;
  if (!parse_limit("readline", args, count, limit)) return nullptr;
  return reader_of(self).read_line(limit);
}

PyObject* input_readlines(PyObject* self, PyObject* const* args, Py_ssize_t count) {
  std::optional<std::size_t> hint;
  if (!parse_limit("readlines", args, count, hint)) return nullptr;
  PyRef lines = PyRef::steal(PyList_New(0));
  std::size_t total = 0;
  while (lines) {
    const PyRef line = PyRef::steal(reader_of(self).read_line(std::nullopt));
    if (!line) return nullptr;
    const auto size = static_cast<std::size_t>(PyBytes_GET_SIZE(line.get()));
    if (size == 0) break;
    if (PyList_Append(lines.get(), line.get()) < 0) return nullptr;
    total += size;
    if (hint && *hint != 0 && total >= *hint) break;
  }
  return lines.release();
}

PyObject* input_next(PyObject* self) {
  PyRef line = PyRef::steal(reader_of(self).read_line(std::nullopt));
  if (!line || PyBytes_GET_SIZE(line.get()) == 0) return nullptr;  // the end: StopIteration
  return line.release();
}

PyObject* input_close(PyObject* self, PyObject*) {
  reader_of(self).close();
  Py_RETURN_NONE;
}

PyObject* input_closed(PyObject* self, void*) { return PyBool_FromLong(reader_of(self).closed()); }

bool check_open(PyObject* self) { return reader_of(self).check_open(); }

// In memory where there is none.
void begin(BodyReader& reader, const std::shared_ptr<Exchange>& exchange, PyObject* trailers) {
  new (&reader) BodyReader(BodyReader::Kind::input, exchange->has_body ? exchange : nullptr,
                           PyRef::borrow(trailers));
}

void input_dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  reader_of(self).~BodyReader();
  type->tp_free(self);
  Py_DECREF(type);
}

template <class Function>
PyCFunction method(Function function) {
  return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(function));
}

using File = StreamMethods<check_open>;

PyMethodDef methods[] = {
    {"read", method(input_read), METH_FASTCALL,
     "read(size=-1, /) -> bytes\n\nReads size bytes, fewer only at the body's end."},
    {"read1", method(input_read1), METH_FASTCALL,
     "read1(size=-1, /) -> bytes\n\nReads what has come, size bytes at most; waits for some."},
    {"readinto", input_readinto, METH_O,
     "readinto(buffer, /) -> int\n\nFills a buffer, less only at the body's end; bytes read."},
    {"readinto1", input_readinto1, METH_O,
     "readinto1(buffer, /) -> int\n\nReads what has come into a buffer; waits for some."},
    {"readline", method(input_readline), METH_FASTCALL,
     "readline(size=-1, /) -> bytes\n\nReads a line, size bytes of it at most."},
    {"readlines", method(input_readlines), METH_FASTCALL,
     "readlines(hint=-1, /) -> list[bytes]\n\nReads lines until hint bytes."},
    {"close", input_close, METH_NOARGS,
     "close() -> None\n\nNothing more is read, whatever is left of the body. Idempotent."},
    {"readable", File::yes, METH_NOARGS, "readable() -> bool\n\nTrue."},
    {"writable", File::no, METH_NOARGS, "writable() -> bool\n\nFalse."},
    {"seekable", File::no, METH_NOARGS, "seekable() -> bool\n\nFalse."},
    {"isatty", File::no, METH_NOARGS, "isatty() -> bool\n\nFalse."},
    {"flush", File::none, METH_NOARGS, "flush() -> None\n\nDoes nothing."},
    {"__enter__", File::enter, METH_NOARGS, "The stream, which is closed at the block's end."},
    {"__exit__", input_close, METH_VARARGS, "Closes the stream."},
    unsupported<"fileno">,
    unsupported<"seek">,
    unsupported<"tell">,
    unsupported<"truncate">,
    unsupported<"detach">,
    unsupported<"write">,
    unsupported<"writelines">,
    {nullptr, nullptr, 0, nullptr},
};

PyGetSetDef attributes[] = {
    {"closed", input_closed, nullptr, "bool: whether it is closed, or the request answered.",
     nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_dealloc, reinterpret_cast<void*>(input_dealloc)},
    {Py_tp_iter, reinterpret_cast<void*>(PyObject_SelfIter)},
    {Py_tp_iternext, reinterpret_cast<void*>(input_next)},
    {Py_tp_methods, methods},
    {Py_tp_getset, attributes},
    {Py_tp_doc, const_cast<char*>("wsgi.input: the request body (PEP 3333)")},
    {0, nullptr},
};

PyType_Spec spec = {"prowingen_wsgi._native.Input", sizeof(InputObject), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};

}  // namespace

PyTypeObject* make_input_type() { return reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec)); }

PyRef make_input(const std::shared_ptr<Exchange>& exchange, PyObject* trailers) {
  PyRef self =
      PyRef::steal(reinterpret_cast<PyObject*>(PyObject_New(InputObject, runtime().input_type)));
  if (self) begin(reader_of(self.get()), exchange, trailers);
  return self;
}

void detach_input(PyObject* input) { reader_of(input).detach(); }

PyObject* LentInput::lend(const std::shared_ptr<Exchange>& exchange, PyObject* trailers) {
  if (!object_) {
    object_ = make_input(exchange, trailers);
  } else {
    BodyReader& reader = reader_of(object_.get());
    std::destroy_at(&reader);
    begin(reader, exchange, trailers);
  }
  return object_.get();
}

void LentInput::take_back(const EnvironBuilder& environs) {
  if (!object_) return;
  detach_input(object_.get());
  if (!environs.is_back(object_.get())) object_ = PyRef();
}

}  // namespace prowingen::wsgi
