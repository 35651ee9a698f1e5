#include "wsgi/opaque_stream.h"

#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "core/engine.h"
#include "wsgi/binary_stream.h"
#include "wsgi/body_reader.h"
#include "wsgi/forked_child.h"
#include "wsgi/runtime.h"
#include "wsgi/timeouts.h"
#include "wsgi/worker.h"

namespace prowingen::wsgi {
namespace {

using Duration = Timeout::Duration;

// Below this a copy is cheaper than keeping the object alive until it is sent.
constexpr Py_ssize_t lend_from = 16 * 1024;

PyTypeObject* stream_type = nullptr;
PyTypeObject* event_type = nullptr;

void raise_os_error(int code) {
  errno = code;
  PyErr_SetFromErrno(PyExc_OSError);
}

class Opaque {
 public:
  Opaque(std::shared_ptr<Exchange> exchange, std::size_t high_water, DropList& drop_list,
         PyRef server)
      : exchange_(std::move(exchange)),
        reader_(BodyReader::Kind::opaque_stream, exchange_, PyRef()),
        high_water_(high_water),
        drop_list_(drop_list),
        server_(std::move(server)) {}

  BodyReader& reader() { return reader_; }
  const Timeout& timeout() const { return timeout_; }
  void set_timeout(const Timeout& timeout) {
    timeout_ = timeout;
    reader_.set_timeout(timeout.duration());
  }

  /// Hands all of it over, when there is room; false with a Python error set, and none of it.
  bool write(PyObject* data) {
    leave_if_forked(*exchange_);
    if (!check_writable()) return false;
    Py_buffer buffer;
    if (PyObject_GetBuffer(data, &buffer, PyBUF_SIMPLE) < 0) return false;
    const bool written = write(data, buffer);
    PyBuffer_Release(&buffer);
    return written;
  }

  /// Nothing more is written.
  void end_output() {
    if (std::exchange(output_over_, true) || exchange_->birthplace.is_parent()) return;
    exchange_->push({}, high_water_, true);
  }
  /// Nothing more is read but what is here.
  void end_input() {
    if (!exchange_->birthplace.is_parent()) exchange_->close_input();
  }
  void close() {
    reader_.close();
    end_output();
    end_input();
    server_ = PyRef();
  }
  /// The same, so that its client is told of a failure.
  void fail() {
    reader_.close();
    const bool whole = std::exchange(output_over_, true);
    if (!whole && !exchange_->birthplace.is_parent()) exchange_->abort();
    end_input();
    server_ = PyRef();
  }

 private:
  bool check_writable() const {
    if (!reader_.check_open()) return false;
    if (!output_over_) return true;
    raise_os_error(EPIPE);
    return false;
  }

  bool write(PyObject* data, const Py_buffer& buffer) {
    if (!await_room()) return false;
    if (buffer.len == 0) return true;
    const std::string_view view(static_cast<const char*>(buffer.buf),
                                static_cast<std::size_t>(buffer.len));
    Chunk chunk;
    if (buffer.len < lend_from || !PyBytes_CheckExact(data)) {
      chunk = Chunk(std::string(view));  // whoever has the buffer may change it
    } else {
      drop_list_.drop_all();
      chunk = Chunk(drop_list_.lend(data));
    }
    if (exchange_->push(std::move(chunk), high_water_, false) != Exchange::Push::departed) {
      return true;
    }
    raise_departed(*exchange_);
    return false;
  }

  bool await_room() {
    auto room = exchange_->wait_writable(at_once);
    if (room == Exchange::Push::full && !timeout_.is_zero()) {
      const auto exchange = exchange_;
      const auto until = timeout_.deadline();
      room = without_gil([&] { return exchange->wait_writable(until); });
      if (!check_writable()) return false;
      if (room == Exchange::Push::full) {
        PyErr_SetString(PyExc_TimeoutError, "timed out");
        return false;
      }
    }
    switch (room) {
      case Exchange::Push::ok: return true;
      case Exchange::Push::departed: raise_departed(*exchange_); break;
      case Exchange::Push::full: raise_os_error(EAGAIN); break;
    }
    return false;
  }

  const std::shared_ptr<Exchange> exchange_;
  BodyReader reader_;
  const std::size_t high_water_;
  DropList& drop_list_;
  PyRef server_;  // while it may lend to its list
  Timeout timeout_;
  bool output_over_ = false;
};

struct StreamObject {
  PyObject_HEAD Opaque stream;
};

Opaque& stream_of(PyObject* self) { return reinterpret_cast<StreamObject*>(self)->stream; }
bool check_open(PyObject* self) { return stream_of(self).reader().check_open(); }

// ---------------------------------------------------------------------------- reading

// A socket's recv() takes flags, which mean nothing here.
PyObject* stream_recv(PyObject* self, PyObject* args) {
  Py_ssize_t size = 0;
  int flags = 0;
  if (!PyArg_ParseTuple(args, "n|i:recv", &size, &flags)) return nullptr;
  if (size < 0) {
    PyErr_SetString(PyExc_ValueError, "negative buffersize in recv");
    return nullptr;
  }
  return stream_of(self).reader().read_some(static_cast<std::size_t>(size));
}

PyObject* stream_recv_into(PyObject* self, PyObject* args, PyObject* named) {
  static const char* names[] = {"buffer", "nbytes", "flags", nullptr};
  Py_buffer buffer;
  Py_ssize_t size = 0;
  int flags = 0;
  if (!PyArg_ParseTupleAndKeywords(args, named, "w*|ni:recv_into", const_cast<char**>(names),
                                   &buffer, &size, &flags)) {
    return nullptr;
  }
  Py_ssize_t got = -1;
  if (size < 0 || size > buffer.len) {
    PyErr_SetString(PyExc_ValueError, size < 0 ? "negative buffersize in recv_into"
                                               : "buffer too small for requested bytes");
  } else {
    if (size != 0) buffer.len = size;
    got = stream_of(self).reader().read_into(buffer, false);
  }
  PyBuffer_Release(&buffer);
  return got < 0 ? nullptr : PyLong_FromSsize_t(got);
}

bool parse_limit(PyObject* args, const char* format, BodyReader::Limit& limit) {
  PyObject* given = Py_None;
  if (!PyArg_ParseTuple(args, format, &given)) return false;
  if (given == Py_None) return true;
  const Py_ssize_t size = PyNumber_AsSsize_t(given, PyExc_OverflowError);
  if (size == -1 && PyErr_Occurred()) return false;
  if (size >= 0) limit = static_cast<std::size_t>(size);
  return true;
}

PyObject* stream_read(PyObject* self, PyObject* args) {
  BodyReader::Limit limit;
  return parse_limit(args, "|O:read", limit) ? stream_of(self).reader().read(limit) : nullptr;
}

PyObject* stream_read1(PyObject* self, PyObject* args) {
  BodyReader::Limit limit;
  return parse_limit(args, "|O:read1", limit) ? stream_of(self).reader().read_some(limit) : nullptr;
}

PyObject* stream_readline(PyObject* self, PyObject* args) {
  BodyReader::Limit limit;
  return parse_limit(args, "|O:readline", limit) ? stream_of(self).reader().read_line(limit)
                                                 : nullptr;
}

PyObject* stream_readinto(PyObject* self, PyObject* target) {
  Py_buffer buffer;
  if (PyArg_Parse(target, "w*", &buffer) == 0) return nullptr;
  const Py_ssize_t size = stream_of(self).reader().read_into(buffer, false);
  PyBuffer_Release(&buffer);
  return size < 0 ? nullptr : PyLong_FromSsize_t(size);
}

// ---------------------------------------------------------------------------- writing

PyObject* stream_write(PyObject* self, PyObject* data) {
  if (!stream_of(self).write(data)) return nullptr;
  Py_buffer buffer;
  if (PyObject_GetBuffer(data, &buffer, PyBUF_SIMPLE) < 0) return nullptr;
  const Py_ssize_t size = buffer.len;
  PyBuffer_Release(&buffer);
  return PyLong_FromSsize_t(size);
}

PyObject* stream_send(PyObject* self, PyObject* args) {
  PyObject* data = nullptr;
  int flags = 0;
  if (!PyArg_ParseTuple(args, "O|i:send", &data, &flags)) return nullptr;
  return stream_write(self, data);
}

PyObject* stream_sendall(PyObject* self, PyObject* args) {
  PyObject* data = nullptr;
  int flags = 0;
  if (!PyArg_ParseTuple(args, "O|i:sendall", &data, &flags)) return nullptr;
  if (!stream_of(self).write(data)) return nullptr;
  Py_RETURN_NONE;
}

// ---------------------------------------------------------------------------- endings and times

PyObject* stream_shutdown(PyObject* self, PyObject* how) {
  const long side = PyLong_AsLong(how);
  if (side == -1 && PyErr_Occurred()) return nullptr;
  if (!check_open(self)) return nullptr;
  if (side != SHUT_RD && side != SHUT_WR && side != SHUT_RDWR) {
    raise_os_error(EINVAL);
    return nullptr;
  }
  if (side != SHUT_RD) stream_of(self).end_output();
  if (side != SHUT_WR) stream_of(self).end_input();
  Py_RETURN_NONE;
}

PyObject* stream_close(PyObject* self, PyObject*) {
  stream_of(self).close();
  Py_RETURN_NONE;
}

PyObject* stream_closed(PyObject* self, void*) {
  return PyBool_FromLong(stream_of(self).reader().closed());
}

PyObject* stream_settimeout(PyObject* self, PyObject* given) {
  Timeout timeout;
  if (!timeout.parse(given)) return nullptr;
  stream_of(self).set_timeout(timeout);
  Py_RETURN_NONE;
}

PyObject* stream_setblocking(PyObject* self, PyObject* given) {
  const int blocking = PyObject_IsTrue(given);
  if (blocking < 0) return nullptr;
  stream_of(self).set_timeout(blocking != 0 ? Timeout() : Timeout(Duration::zero()));
  Py_RETURN_NONE;
}

PyObject* stream_gettimeout(PyObject* self, PyObject*) {
  const auto timeout = stream_of(self).timeout().duration();
  if (!timeout) Py_RETURN_NONE;
  return PyFloat_FromDouble(std::chrono::duration<double>(*timeout).count());
}

void stream_dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  stream_of(self).close();
  stream_of(self).~Opaque();
  type->tp_free(self);
  Py_DECREF(type);
}

template <class Function>
PyCFunction method(Function function) {
  return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(function));
}

using File = StreamMethods<check_open>;

PyMethodDef stream_methods[] = {
    {"read", stream_read, METH_VARARGS,
     "read(size=-1, /) -> bytes\n\nReads size bytes, fewer only when the client has no more to "
     "say."},
    {"read1", stream_read1, METH_VARARGS,
     "read1(size=-1, /) -> bytes\n\nReads what has come, size bytes at most; waits for some."},
    {"readline", stream_readline, METH_VARARGS,
     "readline(size=-1, /) -> bytes\n\nReads a line, size bytes of it at most."},
    {"readinto", stream_readinto, METH_O,
     "readinto(buffer, /) -> int\n\nReads what has come into a buffer; waits for some."},
    {"recv", stream_recv, METH_VARARGS,
     "recv(size, flags=0, /) -> bytes\n\nReads what has come, size bytes at most; waits for some. "
     "Empty: the client has no more to say."},
    {"recv_into", method(stream_recv_into), METH_VARARGS | METH_KEYWORDS,
     "recv_into(buffer, nbytes=0, flags=0) -> int\n\nThe same into a buffer."},
    {"write", stream_write, METH_O,
     "write(data, /) -> int\n\nSends all of it; waits while too much is on its way."},
    {"send", stream_send, METH_VARARGS, "send(data, flags=0, /) -> int\n\nThe same."},
    {"sendall", stream_sendall, METH_VARARGS, "sendall(data, flags=0, /) -> None\n\nThe same."},
    {"shutdown", stream_shutdown, METH_O,
     "shutdown(how, /) -> None\n\nNothing more is read, written, or either: socket.SHUT_RD, "
     "SHUT_WR, SHUT_RDWR."},
    {"close", stream_close, METH_NOARGS,
     "close() -> None\n\nEnds it. What was written is still sent. Idempotent."},
    {"settimeout", stream_settimeout, METH_O,
     "settimeout(seconds, /) -> None\n\nHow long a call waits before it raises TimeoutError; None: "
     "for ever; 0: it raises BlockingIOError."},
    {"gettimeout", stream_gettimeout, METH_NOARGS, "gettimeout() -> float | None"},
    {"setblocking", stream_setblocking, METH_O,
     "setblocking(flag, /) -> None\n\nsettimeout(None) or settimeout(0)."},
    {"readable", File::yes, METH_NOARGS, "readable() -> bool\n\nTrue."},
    {"writable", File::yes, METH_NOARGS, "writable() -> bool\n\nTrue."},
    {"seekable", File::no, METH_NOARGS, "seekable() -> bool\n\nFalse."},
    {"isatty", File::no, METH_NOARGS, "isatty() -> bool\n\nFalse."},
    {"flush", File::none, METH_NOARGS, "flush() -> None\n\nDoes nothing: nothing is kept back."},
    {"__enter__", File::enter, METH_NOARGS, "The stream, which is closed at the block's end."},
    {"__exit__", stream_close, METH_VARARGS, "Closes the stream."},
    unsupported<"fileno">,
    unsupported<"seek">,
    unsupported<"tell">,
    unsupported<"truncate">,
    unsupported<"detach">,
    {nullptr, nullptr, 0, nullptr},
};

PyGetSetDef stream_attributes[] = {
    {"closed", stream_closed, nullptr, "bool: whether it is closed.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyType_Slot stream_slots[] = {
    {Py_tp_dealloc, reinterpret_cast<void*>(stream_dealloc)},
    {Py_tp_methods, stream_methods},
    {Py_tp_getset, stream_attributes},
    {Py_tp_doc, const_cast<char*>("opaque.stream: a connection after its protocol was switched")},
    {0, nullptr},
};

PyType_Spec stream_spec = {"prowingen_wsgi._native.OpaqueStream", sizeof(StreamObject), 0,
                           Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, stream_slots};

// ---------------------------------------------------------------------------- the event

struct EventObject {
  PyObject_HEAD std::shared_ptr<Exchange> exchange;
};

Exchange& exchange_of(PyObject* self) { return *reinterpret_cast<EventObject*>(self)->exchange; }

bool is_over(Exchange& exchange) { return exchange.wait_over(at_once); }

PyObject* event_is_set(PyObject* self, PyObject*) {
  leave_if_forked(exchange_of(self));
  return PyBool_FromLong(is_over(exchange_of(self)));
}

PyObject* event_wait(PyObject* self, PyObject* args, PyObject* named) {
  static const char* names[] = {"timeout", nullptr};
  PyObject* given = Py_None;
  if (!PyArg_ParseTupleAndKeywords(args, named, "|O:wait", const_cast<char**>(names), &given)) {
    return nullptr;
  }
  Timeout timeout;
  if (!timeout.parse(given)) return nullptr;
  leave_if_forked(exchange_of(self));
  const auto exchange = reinterpret_cast<EventObject*>(self)->exchange;
  const auto until = timeout.deadline();
  return PyBool_FromLong(is_over(*exchange) ||
                         without_gil([&] { return exchange->wait_over(until); }));
}

void event_dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  std::destroy_at(&reinterpret_cast<EventObject*>(self)->exchange);
  type->tp_free(self);
  Py_DECREF(type);
}

PyMethodDef event_methods[] = {
    {"is_set", event_is_set, METH_NOARGS,
     "is_set() -> bool\n\nWhether nothing more can be read or sent: its client is gone, a time "
     "limit or the server ended it, or it came to its end."},
    {"wait", method(event_wait), METH_VARARGS | METH_KEYWORDS,
     "wait(timeout=None) -> bool\n\nWaits for that, so many seconds at most; is_set()."},
    {nullptr, nullptr, 0, nullptr},
};

PyType_Slot event_slots[] = {
    {Py_tp_dealloc, reinterpret_cast<void*>(event_dealloc)},
    {Py_tp_methods, event_methods},
    {Py_tp_doc, const_cast<char*>("opaque.call_cancelled: set once the stream is over")},
    {0, nullptr},
};

PyType_Spec event_spec = {"prowingen_wsgi._native.CallCancelled", sizeof(EventObject), 0,
                          Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, event_slots};

}  // namespace

bool init_opaque_types(PyObject* module) {
  stream_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&stream_spec));
  event_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&event_spec));
  return stream_type != nullptr && event_type != nullptr && register_binary_stream(stream_type) &&
         PyModule_AddType(module, stream_type) == 0 && PyModule_AddType(module, event_type) == 0;
}

PyRef make_opaque_stream(const std::shared_ptr<Exchange>& exchange, std::size_t high_water,
                         DropList& drop_list, PyObject* server) {
  PyRef self = PyRef::steal(reinterpret_cast<PyObject*>(PyObject_New(StreamObject, stream_type)));
  if (self) {
    new (&stream_of(self.get())) Opaque(exchange, high_water, drop_list, PyRef::borrow(server));
  }
  return self;
}

PyRef make_call_cancelled(const std::shared_ptr<Exchange>& exchange) {
  PyRef self = PyRef::steal(reinterpret_cast<PyObject*>(PyObject_New(EventObject, event_type)));
  if (self) {
    new (&reinterpret_cast<EventObject*>(self.get())->exchange) std::shared_ptr<Exchange>(exchange);
  }
  return self;
}

void end_opaque_stream(PyObject* stream, bool failed) {
  failed ? stream_of(stream).fail() : stream_of(stream).close();
}

}  // namespace prowingen::wsgi
