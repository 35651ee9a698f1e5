#include "wsgi/websocket_object.h"

#include <structmember.h>

#include <chrono>
#include <cstddef>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "websocket/utf8.h"
#include "wsgi/forked_child.h"
#include "wsgi/runtime.h"
#include "wsgi/timeouts.h"
#include "wsgi/worker.h"

namespace prowingen::wsgi {
namespace {

using websocket::Close;
using websocket::Opcode;
using websocket::Session;

// Below this a copy is cheaper than keeping the object alive until it is sent.
constexpr std::size_t lend_from = std::size_t{16} * 1024;

// A longer one takes a while to be compressed or copied.
constexpr std::size_t long_message = std::size_t{64} * 1024;

PyTypeObject* websocket_type = nullptr;

struct Socket {
  std::shared_ptr<Session> session;
  PyRef subprotocol;
  PyRef server;
  DropList* drop_list;  // the server's
};

struct SocketObject {
  PyObject_HEAD Socket socket;
  PyObject* attributes;
  PyObject* weak_references;
};

Socket& socket_of(PyObject* self) { return reinterpret_cast<SocketObject*>(self)->socket; }

Session& session_of(PyObject* self) {
  Session& session = *socket_of(self).session;
  leave_if_forked(*session.exchange());
  return session;
}

// Raises ConnectionClosed; null.
PyObject* raise_closed(const Session& session) {
  PyObject* const kind = runtime().connection_closed;
  const Close close = session.closed_by();
  const PyRef reason = utf8_text(close.reason);
  const PyRef code = PyRef::steal(PyLong_FromLong(close.code));
  if (!reason || !code) return nullptr;
  const PyRef text = PyRef::steal(
      close.reason.empty() ? PyUnicode_FromFormat("closed with %d", close.code)
                           : PyUnicode_FromFormat("closed with %d: %U", close.code, reason.get()));
  const PyRef error = text ? PyRef::steal(PyObject_CallOneArg(kind, text.get())) : PyRef();
  if (error && PyObject_SetAttrString(error.get(), "code", code.get()) == 0 &&
      PyObject_SetAttrString(error.get(), "reason", reason.get()) == 0) {
    PyErr_SetObject(kind, error.get());
  }
  return nullptr;
}

/// A method, for which what C++ throws is a Python error.
template <auto function, class... Arguments>
PyObject* translated(Arguments... arguments) {
  try {
    return function(arguments...);
  } catch (const std::bad_alloc&) {
    return PyErr_NoMemory();
  } catch (const std::exception& error) {
    PyErr_SetString(PyExc_RuntimeError, error.what());
    return nullptr;
  }
}

template <auto function>
PyCFunction method() {
  return reinterpret_cast<PyCFunction>(
      reinterpret_cast<void (*)()>(translated<function, PyObject*, PyObject*, PyObject*>));
}

template <auto function>
constexpr PyCFunction simple_method = translated<function, PyObject*, PyObject*>;

// ---------------------------------------------------------------------------- receiving

PyObject* receive(Session& session, const Timeout& timeout) {
  using enum Session::Received;
  if (session.is_evented()) {
    PyErr_SetString(PyExc_RuntimeError,
                    "receive: its messages are on_message's; accept it without callbacks");
    return nullptr;
  }
  websocket::Message next;
  auto received = session.receive(next, at_once);
  if (received == timed_out && !timeout.is_zero()) {
    const auto until = timeout.deadline();
    received = without_gil([&] { return session.receive(next, until); });
  }
  switch (received) {
    case message: return message_object(next).release();
    case closed: return raise_closed(session);
    case timed_out: break;
  }
  PyErr_SetString(PyExc_TimeoutError, "timed out");
  return nullptr;
}

PyObject* socket_receive(PyObject* self, PyObject* args, PyObject* named) {
  static const char* names[] = {"timeout", nullptr};
  PyObject* given = Py_None;
  if (!PyArg_ParseTupleAndKeywords(args, named, "|O:receive", const_cast<char**>(names), &given)) {
    return nullptr;
  }
  Timeout timeout;
  if (!timeout.parse(given)) return nullptr;
  const auto session = socket_of(self).session;  // whoever has the object may let it go meanwhile
  leave_if_forked(*session->exchange());
  return receive(*session, timeout);
}

PyObject* socket_next(PyObject* self) {
  const auto session = socket_of(self).session;
  leave_if_forked(*session->exchange());
  PyObject* const message = receive(*session, Timeout());
  if (message == nullptr && PyErr_ExceptionMatches(runtime().connection_closed) != 0) PyErr_Clear();
  return message;
}

// ---------------------------------------------------------------------------- sending

/// What is sent, as bytes that stay where they are.
class Payload {
 public:
  Payload() = default;
  ~Payload() {
    if (buffer_.obj != nullptr) PyBuffer_Release(&buffer_);
  }
  Payload(const Payload&) = delete;
  Payload& operator=(const Payload&) = delete;

  /// A str, or what has a buffer. False with a Python error set.
  bool take(PyObject* data) {
    if (PyUnicode_Check(data)) {
      Py_ssize_t size = 0;
      const char* const text = PyUnicode_AsUTF8AndSize(data, &size);
      if (text == nullptr) return false;
      opcode = Opcode::text;
      bytes = {text, static_cast<std::size_t>(size)};
      constant_ = data;
      return true;
    }
    if (PyObject_GetBuffer(data, &buffer_, PyBUF_SIMPLE) < 0) return false;
    bytes = {static_cast<const char*>(buffer_.buf), static_cast<std::size_t>(buffer_.len)};
    if (PyBytes_CheckExact(data)) constant_ = data;
    return true;
  }

  /// Without a copy, if nobody can change it; the list is that of the server.
  Chunk lend(DropList& list) const { return Chunk(list.lend(constant_, bytes)); }
  bool may_be_lent() const { return constant_ != nullptr && bytes.size() >= lend_from; }

  Opcode opcode = Opcode::binary;
  std::string_view bytes;

 private:
  PyObject* constant_ = nullptr;  // whose they are, of a type that does not change
  Py_buffer buffer_{};
};

Session::Sent send(Session& session, const Payload& payload, DropList& drop_list) {
  if (payload.may_be_lent() && !session.compresses(payload.bytes.size())) {
    drop_list.drop_all();  // what has been sent meanwhile
    return session.send_plain(payload.opcode, payload.lend(drop_list));
  }
  const auto hand_over = [&] { return session.send(payload.opcode, payload.bytes); };
  const bool is_quick = payload.bytes.size() < long_message && !session.keeps_context();
  return is_quick ? hand_over() : release_gil(hand_over);
}

PyObject* send(Session& session, const Payload& payload, const Timeout& timeout,
               DropList& drop_list) {
  using enum Session::Sent;
  const auto until = timeout.deadline();
  for (;;) {
    switch (send(session, payload, drop_list)) {
      case ok: Py_RETURN_NONE;
      case closed: return raise_closed(session);
      case full: break;
    }
    const bool waits = !timeout.is_zero();
    if (!waits || without_gil([&] { return session.await_room(until); }) == full) {
      PyErr_SetString(PyExc_TimeoutError, "timed out");
      return nullptr;
    }
  }
}

PyObject* socket_send(PyObject* self, PyObject* args, PyObject* named) {
  static const char* names[] = {"data", "timeout", nullptr};
  PyObject* data = nullptr;
  PyObject* given = Py_None;
  if (!PyArg_ParseTupleAndKeywords(args, named, "O|O:send", const_cast<char**>(names), &data,
                                   &given)) {
    return nullptr;
  }
  Timeout timeout;
  Payload payload;
  if (!timeout.parse(given) || !payload.take(data)) return nullptr;
  const auto session = socket_of(self).session;
  leave_if_forked(*session->exchange());
  return send(*session, payload, timeout, *socket_of(self).drop_list);
}

PyObject* socket_ping(PyObject* self, PyObject* args) {
  Py_buffer buffer{};
  if (!PyArg_ParseTuple(args, "|y*:ping", &buffer)) return nullptr;
  const std::string_view payload(static_cast<const char*>(buffer.buf),
                                 static_cast<std::size_t>(buffer.len));
  const bool fits = payload.size() <= websocket::longest_control;
  Session& session = session_of(self);
  const auto hand_over = [&] { return session.ping(payload) == Session::Sent::ok; };
  const bool sent = fits && (session.keeps_context() ? release_gil(hand_over) : hand_over());
  if (buffer.obj != nullptr) PyBuffer_Release(&buffer);
  if (sent) Py_RETURN_NONE;
  if (fits) return raise_closed(session_of(self));
  PyErr_SetString(PyExc_ValueError, "ping: payload: at most 125 bytes (RFC 6455 section 5.5)");
  return nullptr;
}

// ---------------------------------------------------------------------------- the end

void close(Session& session, const Close& why) {
  const auto say = [&] {
    session.close(why, true);
    return true;
  };
  session.keeps_context() ? release_gil(say) : say();
}

PyObject* socket_close(PyObject* self, PyObject* args, PyObject* named) {
  static const char* names[] = {"code", "reason", nullptr};
  int code = websocket::close_code::normal;
  const char* reason = "";
  if (!PyArg_ParseTupleAndKeywords(args, named, "|is:close", const_cast<char**>(names), &code,
                                   &reason)) {
    return nullptr;
  }
  if (!websocket::may_be_sent(code)) {
    PyErr_Format(PyExc_ValueError,
                 "close: code %d: must be 1000 to 1003, 1007 to 1014, or 3000 to 4999", code);
    return nullptr;
  }
  close(session_of(self), {code, reason});
  Py_RETURN_NONE;
}

PyObject* socket_wait_closed(PyObject* self, PyObject* args, PyObject* named) {
  static const char* names[] = {"timeout", nullptr};
  PyObject* given = Py_None;
  if (!PyArg_ParseTupleAndKeywords(args, named, "|O:wait_closed", const_cast<char**>(names),
                                   &given)) {
    return nullptr;
  }
  Timeout timeout;
  if (!timeout.parse(given)) return nullptr;
  const auto session = socket_of(self).session;
  leave_if_forked(*session->exchange());
  const auto until = timeout.deadline();
  return PyBool_FromLong(session->is_closed() ||
                         without_gil([&] { return session->wait_closed(until); }));
}

PyObject* socket_enter(PyObject* self, PyObject*) { return Py_NewRef(self); }

PyObject* socket_exit(PyObject* self, PyObject* args) {
  const bool failed = PyTuple_GET_SIZE(args) != 0 && PyTuple_GET_ITEM(args, 0) != Py_None;
  close(session_of(self),
        {failed ? websocket::close_code::internal_error : websocket::close_code::normal, {}});
  Py_RETURN_NONE;
}

PyObject* get_subprotocol(PyObject* self, void*) {
  return Py_NewRef(socket_of(self).subprotocol.get());
}

PyObject* get_closed(PyObject* self, void*) { return PyBool_FromLong(!session_of(self).is_open()); }

PyObject* get_close_code(PyObject* self, void*) {
  const Session& session = session_of(self);
  if (!session.is_closed()) Py_RETURN_NONE;
  return PyLong_FromLong(session.closed_by().code);
}

PyObject* get_close_reason(PyObject* self, void*) {
  const Session& session = session_of(self);
  if (!session.is_closed()) Py_RETURN_NONE;
  return utf8_text(session.closed_by().reason).release();
}

// ---------------------------------------------------------------------------- the type

int socket_traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(socket_of(self).server.get());
  Py_VISIT(reinterpret_cast<SocketObject*>(self)->attributes);
  return 0;
}

int socket_clear(PyObject* self) {
  Py_CLEAR(reinterpret_cast<SocketObject*>(self)->attributes);
  return 0;
}

void socket_dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  if (reinterpret_cast<SocketObject*>(self)->weak_references != nullptr) {
    PyObject_ClearWeakRefs(self);
  }
  Session& session = *socket_of(self).session;
  if (!session.exchange()->birthplace.is_parent()) session.forsake();
  socket_clear(self);
  std::destroy_at(&socket_of(self));
  type->tp_free(self);
  Py_DECREF(type);
}

constexpr int keywords = METH_VARARGS | METH_KEYWORDS;

PyMethodDef socket_methods[] = {
    {"receive", method<socket_receive>(), keywords,
     "receive(timeout=None) -> str | bytes\n\nThe next message; waits for it, so many seconds at "
     "most: TimeoutError. ConnectionClosed: there are no more."},
    {"send", method<socket_send>(), keywords,
     "send(data, timeout=None) -> None\n\nSends a str as text, and what has a buffer as it is. "
     "Waits while too much is on its way. TimeoutError, ConnectionClosed."},
    {"ping", simple_method<socket_ping>, METH_VARARGS,
     "ping(payload=b'', /) -> None\n\nSends a ping, beside those of ping_interval."},
    {"close", method<socket_close>(), keywords,
     "close(code=1000, reason='') -> None\n\nCloses it; returns at once. Idempotent."},
    {"wait_closed", method<socket_wait_closed>(), keywords,
     "wait_closed(timeout=None) -> bool\n\nWaits until both sides have closed it. Whether they "
     "have."},
    {"__enter__", socket_enter, METH_NOARGS, "The WebSocket, which is closed at the block's end."},
    {"__exit__", simple_method<socket_exit>, METH_VARARGS,
     "Closes it: 1000, or 1011 after an exception."},
    {nullptr, nullptr, 0, nullptr},
};

PyGetSetDef socket_attributes[] = {
    {"subprotocol", get_subprotocol, nullptr, "str | None: what both sides speak.", nullptr},
    {"closed", get_closed, nullptr, "bool: whether nothing more can be sent.", nullptr},
    {"close_code", get_close_code, nullptr, "int | None: with which it was closed.", nullptr},
    {"close_reason", get_close_reason, nullptr, "str | None: why it was closed.", nullptr},
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, nullptr, nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyMemberDef socket_members[] = {
    {"__dictoffset__", T_PYSSIZET, offsetof(SocketObject, attributes), READONLY, nullptr},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(SocketObject, weak_references), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr},
};

PyType_Slot socket_slots[] = {
    {Py_tp_dealloc, reinterpret_cast<void*>(socket_dealloc)},
    {Py_tp_traverse, reinterpret_cast<void*>(socket_traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(socket_clear)},
    {Py_tp_iter, reinterpret_cast<void*>(PyObject_SelfIter)},
    {Py_tp_iternext, reinterpret_cast<void*>(translated<socket_next, PyObject*>)},
    {Py_tp_methods, socket_methods},
    {Py_tp_getset, socket_attributes},
    {Py_tp_members, socket_members},
    {Py_tp_doc, const_cast<char*>("A WebSocket (RFC 6455), as accept() returns it.")},
    {0, nullptr},
};

PyType_Spec socket_spec = {
    "prowingen_wsgi._native.WebSocket", sizeof(SocketObject), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION, socket_slots};

}  // namespace

bool init_websocket_type(PyObject* module) {
  websocket_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&socket_spec));
  return websocket_type != nullptr && PyModule_AddType(module, websocket_type) == 0;
}

PyRef make_websocket(std::shared_ptr<Session> session, const std::string& subprotocol, PyRef server,
                     DropList& drop_list) {
  PyRef spoken = subprotocol.empty() ? PyRef::borrow(Py_None) : PyRef::steal(latin1(subprotocol));
  if (!spoken) return {};
  PyRef self = PyRef::steal(websocket_type->tp_alloc(websocket_type, 0));
  if (self) {
    new (&socket_of(self.get()))
        Socket{std::move(session), std::move(spoken), std::move(server), &drop_list};
  }
  return self;
}

PyRef message_object(const websocket::Message& message) {
  const auto size = static_cast<Py_ssize_t>(message.data.size());
  return PyRef::steal(message.is_text ? PyUnicode_DecodeUTF8(message.data.data(), size, nullptr)
                                      : PyBytes_FromStringAndSize(message.data.data(), size));
}

PyRef utf8_text(const std::string& text) {
  return PyRef::steal(
      PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "replace"));
}

namespace {

PyObject* broadcast_to_all(PyObject*, PyObject* args) {
  PyObject* websockets = nullptr;
  PyObject* data = nullptr;
  if (!PyArg_ParseTuple(args, "OO:broadcast", &websockets, &data)) return nullptr;
  Payload payload;
  const PyRef all = PyRef::steal(PySequence_Tuple(websockets));
  if (!all || !payload.take(data)) return nullptr;
  const Py_ssize_t count = PyTuple_GET_SIZE(all.get());
  for (Py_ssize_t i = 0; i < count; ++i) {
    PyObject* const each = PyTuple_GET_ITEM(all.get(), i);
    if (Py_IS_TYPE(each, websocket_type)) {
      leave_if_forked(*socket_of(each).session->exchange());
      continue;
    }
    PyErr_Format(PyExc_TypeError, "broadcast: WebSockets, not %.100s", Py_TYPE(each)->tp_name);
    return nullptr;
  }
  const PyRef gone = PyRef::steal(PyList_New(0));
  if (!gone) return nullptr;
  // The tuple keeps them, and nothing of the interpreter's is touched.
  const auto closed = without_gil([&] {
    const websocket::SharedMessage message(payload.opcode, std::string(payload.bytes));
    std::vector<Py_ssize_t> found;
    for (Py_ssize_t i = 0; i < count; ++i) {
      Session& session = *socket_of(PyTuple_GET_ITEM(all.get(), i)).session;
      if (session.send(message) != Session::Sent::ok) found.push_back(i);
    }
    return found;
  });
  for (const Py_ssize_t i : closed) {
    if (PyList_Append(gone.get(), PyTuple_GET_ITEM(all.get(), i)) < 0) return nullptr;
  }
  return Py_NewRef(gone.get());
}

}  // namespace

PyObject* broadcast(PyObject* module, PyObject* args) {
  return translated<broadcast_to_all>(module, args);
}

}  // namespace prowingen::wsgi
