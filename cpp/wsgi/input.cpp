#include "wsgi/input.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <optional>
#include <string>
#include <string_view>

#include "wsgi/binary_stream.h"
#include "wsgi/forked_child.h"
#include "wsgi/runtime.h"
#include "wsgi/trailers.h"
#include "wsgi/worker.h"

namespace prowingen::wsgi {
namespace {

// The body is read in blocks that the I/O thread has gathered: `block_` is ours and is read
// without a lock; when it is used up it is swapped for what has arrived meanwhile.
class Stream {
 public:
  Stream(std::shared_ptr<Exchange> exchange, PyRef trailers)
      : exchange_(std::move(exchange)), trailers_(std::move(trailers)) {}

  /// By the application.
  void close() {
    if (state_ == State::open) end(State::closed);
  }
  /// By the server.
  void detach() { end(State::answered); }
  bool closed() const { return state_ != State::open; }

  bool check_open() const {
    if (!closed()) return true;
    PyErr_SetString(PyExc_ValueError, state_ == State::closed
                                          ? "I/O operation on closed file"
                                          : "wsgi.input: read after the request was answered");
    return false;
  }

  /// `limit` bytes, fewer only at the end of the body; null with an error set.
  PyObject* read(std::optional<std::size_t> limit) {
    if (!check_readable()) return nullptr;
    std::string gathered;
    for (;;) {
      const auto available = rest();
      const std::size_t wanted = limit ? *limit - gathered.size() : available.size();
      if (gathered.empty() && limit && available.size() >= wanted) {
        return bytes(take(wanted));  // the common case: no copy but the one into `bytes`
      }
      const auto piece = take(std::min(wanted, available.size()));
      if (!gathered.empty() || !block_is_last()) {
        gathered.append(piece);
      } else {
        return bytes(piece);
      }
      if (limit && gathered.size() == *limit) return bytes(gathered);
      switch (fill()) {
        case Fill::error: return nullptr;
        case Fill::end: return bytes(gathered);
        case Fill::more: break;
      }
    }
  }

  /// What is there, and some if nothing is: `limit` bytes at most; none only at the body's end.
  PyObject* read_some(std::optional<std::size_t> limit) {
    if (!check_readable()) return nullptr;
    if (rest().empty() && limit != 0 && fill() == Fill::error) return nullptr;
    return bytes(take(std::min(limit.value_or(rest().size()), rest().size())));
  }

  /// Fills the buffer, `all` of it unless the body ends, or with what is there; the number of
  /// bytes, or -1 with an error set.
  Py_ssize_t read_into(const Py_buffer& buffer, bool all) {
    if (!check_readable()) return -1;
    const auto size = static_cast<std::size_t>(buffer.len);
    std::size_t done = 0;
    while (done < size && (all || done == 0)) {
      if (rest().empty()) {
        const Fill outcome = fill();
        if (outcome == Fill::error) return -1;
        if (outcome == Fill::end) break;
      }
      const auto piece = take(std::min(size - done, rest().size()));
      std::memcpy(static_cast<char*>(buffer.buf) + done, piece.data(), piece.size());
      done += piece.size();
    }
    return static_cast<Py_ssize_t>(done);
  }

  /// Up to and with the next newline, `limit` bytes at most.
  PyObject* read_line(std::optional<std::size_t> limit) {
    if (!check_readable()) return nullptr;
    std::string gathered;
    for (;;) {
      auto available = rest();
      if (limit) available = available.substr(0, *limit - gathered.size());
      const auto newline = available.find('\n');
      const bool complete = newline != std::string_view::npos;
      const auto piece = take(complete ? newline + 1 : available.size());
      if (complete && gathered.empty()) return bytes(piece);
      gathered.append(piece);
      if (complete || (limit && gathered.size() == *limit)) return bytes(gathered);
      switch (fill()) {
        case Fill::error: return nullptr;
        case Fill::end: return bytes(gathered);
        case Fill::more: break;
      }
    }
  }

 private:
  enum class Fill : std::uint8_t { more, end, error };
  enum class State : std::uint8_t { open, closed, answered };

  static PyObject* bytes(std::string_view text) {
    return PyBytes_FromStringAndSize(text.data(), static_cast<Py_ssize_t>(text.size()));
  }

  std::string_view rest() const { return std::string_view(block_).substr(position_); }
  bool block_is_last() const { return !exchange_; }

  std::string_view take(std::size_t size) {
    const auto piece = rest().substr(0, size);
    position_ += size;
    if (trailers_ && position_ == block_.size()) look_for_trailers();
    return piece;
  }

  // An application that knows the length need not read on to the end. For want of memory it is
  // tried again there.
  void look_for_trailers() {
    if (!exchange_ || exchange_->birthplace.is_parent() || !exchange_->body_read()) return;
    if (fill_trailers(trailers_.get(), *exchange_)) {
      trailers_ = PyRef();
    } else {
      PyErr_Clear();
    }
  }

  Fill at_end() {
    const bool filled = !trailers_ || fill_trailers(trailers_.get(), *exchange_);
    if (!filled) return Fill::error;
    trailers_ = PyRef();
    exchange_.reset();
    return Fill::end;
  }

  void end(State state) {
    exchange_.reset();
    trailers_ = PyRef();
    std::string().swap(block_);  // an assignment would keep the memory
    position_ = 0;
    state_ = state;
  }

  bool check_readable() const {
    if (!check_open()) return false;
    if (filling_) {
      PyErr_SetString(PyExc_RuntimeError, "wsgi.input: read by two threads at once");
      return false;
    }
    // Not only where it would have to wait for more: a block may take long to be worked through.
    if (exchange_ && exchange_->cut() && !exchange_->client_waits()) {
      raise_departed(*exchange_);
      return false;
    }
    return true;
  }

  Fill fill() {
    block_.clear();
    position_ = 0;
    if (!exchange_) return Fill::end;
    leave_if_forked(*exchange_);
    const auto exchange = exchange_;  // end() may come while the GIL is away
    std::string block;
    Exchange::Read outcome;
    filling_ = true;
    if (exchange->body_ready()) {
      outcome = exchange->read_body(block);
    } else {
      outcome = without_gil([&] { return exchange->read_body(block); });
    }
    filling_ = false;
    if (!check_open()) return Fill::error;
    switch (outcome) {
      case Exchange::Read::departed: raise_departed(*exchange); return Fill::error;
      case Exchange::Read::failed:
        PyErr_SetString(PyExc_OSError, "wsgi.input: the body cannot be read back from its file");
        return Fill::error;
      case Exchange::Read::end: return at_end();
      case Exchange::Read::bytes: block_ = std::move(block); return Fill::more;
    }
    return Fill::end;
  }

  std::shared_ptr<Exchange> exchange_;  // null at the end of the body
  PyRef trailers_;                      // to be filled then
  std::string block_;
  std::size_t position_ = 0;
  bool filling_ = false;
  State state_ = State::open;
};

struct InputObject {
  PyObject_HEAD Stream stream;
};

Stream& stream_of(PyObject* self) { return reinterpret_cast<InputObject*>(self)->stream; }

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
  return stream_of(self).read(limit);
}

PyObject* input_read1(PyObject* self, PyObject* const* args, Py_ssize_t count) {
  std::optional<std::size_t> limit;
  if (!parse_limit("read1", args, count, limit)) return nullptr;
  return stream_of(self).read_some(limit);
}

PyObject* read_into(PyObject* self, PyObject* target, bool all) {
  Py_buffer buffer;
  if (PyArg_Parse(target, "w*", &buffer) == 0) return nullptr;
  const Py_ssize_t size = stream_of(self).read_into(buffer, all);
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
  return stream_of(self).read_line(limit);
}

PyObject* input_readlines(PyObject* self, PyObject* const* args, Py_ssize_t count) {
  std::optional<std::size_t> hint;
  if (!parse_limit("readlines", args, count, hint)) return nullptr;
  PyRef lines = PyRef::steal(PyList_New(0));
  std::size_t total = 0;
  while (lines) {
    const PyRef line = PyRef::steal(stream_of(self).read_line(std::nullopt));
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
  PyRef line = PyRef::steal(stream_of(self).read_line(std::nullopt));
  if (!line || PyBytes_GET_SIZE(line.get()) == 0) return nullptr;  // the end: StopIteration
  return line.release();
}

PyObject* input_close(PyObject* self, PyObject*) {
  stream_of(self).close();
  Py_RETURN_NONE;
}

PyObject* input_closed(PyObject* self, void*) { return PyBool_FromLong(stream_of(self).closed()); }

bool check_open(PyObject* self) { return stream_of(self).check_open(); }

void input_dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  stream_of(self).~Stream();
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
  if (self) {
    new (&stream_of(self.get()))
        Stream(exchange->has_body ? exchange : nullptr, PyRef::borrow(trailers));
  }
  return self;
}

void detach_input(PyObject* input) { stream_of(input).detach(); }

}  // namespace prowingen::wsgi
