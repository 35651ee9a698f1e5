#include "wsgi/opaque_upgrade.h"

#include <structmember.h>

#include <chrono>
#include <cstddef>
#include <string>
#include <thread>

#include "http/request_policy.h"
#include "http/response_policy.h"
#include "wsgi/field_list.h"
#include "wsgi/forked_child.h"
#include "wsgi/opaque_stream.h"
#include "wsgi/runtime.h"

namespace prowingen::wsgi {
namespace {

constexpr const char* caller = "opaque.upgrade";
constexpr const char* stream_caller = "upgrade.stream";
constexpr const char* answered_already = "the request is answered already";

PyTypeObject* call_type = nullptr;

struct CallObject {
  PyObject_HEAD vectorcallfunc vectorcall;
  Upgradable* upgradable;  // null: the application has returned
  PyObject* callback;      // null: it was not called
};

CallObject& object_of(PyObject* self) { return *reinterpret_cast<CallObject*>(self); }

bool check_arguments(PyObject* parameters, PyObject* callback) {
  if (parameters != Py_None && PyMapping_Check(parameters) == 0) {
    return complain(PyExc_TypeError, caller, "parameters must be a dict or None");
  }
  if (PyCallable_Check(callback) == 0) {
    return complain(PyExc_TypeError, caller, "callback must be callable");
  }
  return true;
}

PyObject* call(PyObject* self, PyObject* const* args, size_t nargsf, PyObject* names) {
  CallObject& object = object_of(self);
  if (PyVectorcall_NARGS(nargsf) != 2 || names != nullptr) {
    PyErr_SetString(PyExc_TypeError,
                    "opaque.upgrade() takes two positional arguments: parameters and callback");
    return nullptr;
  }
  if (!check_arguments(args[0], args[1])) return nullptr;
  Upgradable* const upgradable = upgradable_of(self, caller);
  if (upgradable == nullptr) return nullptr;
  if (!upgradable->calls_back) {
    complain(PyExc_TypeError, "request.upgrade",
             "is called for a callback by WSGI applications: take stream() or websocket()");
    return nullptr;
  }
  Responder& responder = upgradable->responder;
  if (responder.head_sent() || responder.answered_otherwise()) {
    complain(PyExc_AssertionError, caller,
             "called after the answer's head was sent, which it has to come before");
    return nullptr;
  }
  responder.let_switch();
  Py_XSETREF(object.callback, Py_NewRef(args[1]));  // what ends with the old one may run anything
  Py_RETURN_NONE;
}

PyObject* hold(PyObject* self, PyObject*) {
  Upgradable* const upgradable = object_of(self).upgradable;
  if (upgradable != nullptr) {
    leave_if_forked(*upgradable->exchange);
    const UpgradeUse use(*upgradable);
    if (!upgradable->hold()) return nullptr;
  }
  Py_RETURN_NONE;
}

int traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(object_of(self).callback);
  return 0;
}

int clear(PyObject* self) {
  Py_CLEAR(object_of(self).callback);
  return 0;
}

void dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  clear(self);
  type->tp_free(self);
  Py_DECREF(type);
}

PyMemberDef members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(CallObject, vectorcall), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr},
};

// Of the answer; empty: the client's first. False with a Python error set.
bool parse_protocol(const Upgradable& call, PyObject* protocol, std::string_view& name) {
  if (protocol == Py_None) return true;
  if (call.responder.is_connect()) {
    return complain(PyExc_ValueError, stream_caller, "protocol: a tunnel's is not named");
  }
  if (!text_of(stream_caller, protocol, "protocol", name)) return false;
  const auto fault = check_response_field(ResponseField::upgrade, "Upgrade", name);
  return !fault || complain(PyExc_ValueError, stream_caller, describe(*fault, "Upgrade", name));
}

PyRef open_stream(Upgradable& call, PyObject* protocol, PyObject* fields) {
  std::string_view name;
  if (!parse_protocol(call, protocol, name) || !call.claim(stream_caller)) return {};
  const OwnField named{"Upgrade", name};
  const std::span<const OwnField> own(&named, name.empty() ? 0 : 1);
  if (!call.hold() || !call.switch_now(stream_caller, own, fields)) {
    call.is_claimed = false;
    return {};
  }
  PyRef stream = make_opaque_stream(call.exchange, call.high_water, call.drop_list, call.server);
  if (!stream) call.exchange->abort();  // no memory
  if (!call.outlives_application) call.stream = PyRef::borrow(stream.get());
  return stream;
}

PyObject* stream(PyObject* self, PyObject* args, PyObject* named) {
  static const char* names[] = {"protocol", "headers", nullptr};
  PyObject* protocol = Py_None;
  PyObject* headers = nullptr;
  if (!PyArg_ParseTupleAndKeywords(args, named, "|OO:stream", const_cast<char**>(names), &protocol,
                                   &headers)) {
    return nullptr;
  }
  // Before the call is looked for: an iterator of the application's may let other threads run.
  const PyRef fields = PyRef::steal(headers == nullptr ? PyList_New(0) : PySequence_List(headers));
  if (!fields) return nullptr;
  Upgradable* const call = upgradable_of(self, stream_caller);
  if (call == nullptr) return nullptr;
  const UpgradeUse use(*call);
  return open_stream(*call, protocol, fields.get()).release();
}

// The checks of what it is given are Python's.
PyObject* websocket(PyObject* self, PyObject* args, PyObject* named) {
  if (PyTuple_GET_SIZE(args) != 0) {
    PyErr_SetString(PyExc_TypeError, "upgrade.websocket() takes keyword arguments alone");
    return nullptr;
  }
  const PyRef module = PyRef::steal(PyImport_ImportModule("prowingen_wsgi.websocket"));
  const PyRef accept =
      module ? PyRef::steal(PyObject_GetAttrString(module.get(), "accept")) : PyRef();
  const PyRef positional = accept ? PyRef::steal(PyTuple_Pack(1, self)) : PyRef();
  return positional ? PyObject_Call(accept.get(), positional.get(), named) : nullptr;
}

PyObject* protocols(PyObject* self, void*) {
  const Upgradable* const call = upgradable_of(self, "upgrade.protocols");
  if (call == nullptr) return nullptr;
  PyRef list = PyRef::steal(PyList_New(0));
  for (const std::string_view offered : offered_protocols(call->exchange->request)) {
    const PyRef text = list ? PyRef::steal(latin1(offered)) : PyRef();
    if (!text || PyList_Append(list.get(), text.get()) < 0) return nullptr;
  }
  return list.release();
}

PyGetSetDef attributes[] = {
    {"protocols", protocols, nullptr,
     "list[str]: what the client offers (RFC 9110 section 7.8), the best first.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyCFunction with_names(PyObject* (*function)(PyObject*, PyObject*, PyObject*)) {
  return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(function));
}

PyObject* then(PyObject* self, PyObject* callback) {
  if (upgradable_of(self, caller) == nullptr) return nullptr;
  Py_XSETREF(object_of(self).callback, Py_NewRef(callback));
  Py_RETURN_NONE;
}

PyMethodDef methods[] = {
    {"stream", with_names(stream), METH_VARARGS | METH_KEYWORDS,
     "stream(protocol=None, headers=()) -> OpaqueStream\n\nAnswers 101, and returns what follows. "
     "protocol: that the answer names; the client's first unless given."},
    {"websocket", with_names(websocket), METH_VARARGS | METH_KEYWORDS,
     "websocket(**options) -> WebSocket\n\nprowingen_wsgi.websocket.accept() with these."},
    {"hold", hold, METH_NOARGS,
     "hold() -> None\n\nThe request lives long: another thread takes the place of its own in the "
     "pool. ConnectionAbortedError: there is none, and its client is told so."},
    {"then", then, METH_O,
     "then(callback, /) -> None\n\nCalled with nothing when the application has returned, and a "
     "WebSocket was accepted that is closed after it."},
    {nullptr, nullptr, 0, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_dealloc, reinterpret_cast<void*>(dealloc)},
    {Py_tp_traverse, reinterpret_cast<void*>(traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(clear)},
    {Py_tp_call, reinterpret_cast<void*>(PyVectorcall_Call)},
    {Py_tp_members, members},
    {Py_tp_methods, methods},
    {Py_tp_getset, attributes},
    {Py_tp_doc, const_cast<char*>("What another protocol is switched to by. Called with parameters "
                                  "and callback before an answer of status 101, it has "
                                  "callback(env) called after it.")},
    {0, nullptr},
};

PyType_Spec spec = {"prowingen_wsgi._native.OpaqueUpgrade", sizeof(CallObject), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL |
                        Py_TPFLAGS_DISALLOW_INSTANTIATION,
                    slots};

PyRef make_env(PyObject* stream, PyObject* cancelled) {
  PyRef env = PyRef::steal(PyDict_New());
  const PyRef version = PyRef::steal(PyUnicode_FromString("1.0"));
  const bool made = env && version &&
                    PyDict_SetItemString(env.get(), "opaque.version", version.get()) == 0 &&
                    PyDict_SetItemString(env.get(), "opaque.stream", stream) == 0 &&
                    PyDict_SetItemString(env.get(), "opaque.call_cancelled", cancelled) == 0;
  return made ? std::move(env) : PyRef();
}

}  // namespace

bool Upgradable::hold() {
  if (worker == nullptr || worker->leave_pool(*exchange)) return true;
  refuse(503, Responder::no_thread_page);
  PyErr_SetString(PyExc_ConnectionAbortedError,
                  "there is no thread for one more request that lives long (long_lived_threads)");
  return false;
}

// Seldom needed, and not for long: they do not wait for a client.
void Upgradable::await_users() const {
  constexpr std::chrono::milliseconds look_interval{1};
  while (users != 0) {
    release_gil([&] {
      std::this_thread::sleep_for(look_interval);
      return true;
    });
  }
}

void Upgradable::refuse(int status, std::string_view page) {
  if (responder.head_sent() || responder.answered_otherwise()) return;
  responder.answer_plainly(status, page);
  responder.step_aside();
}

bool Upgradable::claim(const char* who) {
  if (is_claimed) return complain(PyExc_RuntimeError, who, "the request is accepted already");
  if (responder.head_sent() || responder.answered_otherwise()) {
    return complain(PyExc_RuntimeError, who, answered_already);
  }
  is_claimed = true;  // before other threads may run
  return true;
}

bool Upgradable::switch_now(const char* who, std::span<const OwnField> own, PyObject* fields) {
  if (responder.head_sent() || responder.answered_otherwise()) {  // by another thread meanwhile
    return complain(PyExc_RuntimeError, who, answered_already);
  }
  responder.begin(101, "Switching Protocols");
  for (const auto& [name, value] : own) responder.add_field(name, value);
  if (!add_fields(who, fields, [this](std::string_view name, std::string_view value) {
        return responder.add_field(name, value);
      })) {
    return false;
  }
  responder.end_head();
  responder.let_switch();
  if (!responder.send_head()) return false;
  // Else what the application's socket had said came first.
  if (!responder.head_sent()) return complain(PyExc_RuntimeError, who, answered_already);
  responder.step_aside();
  return true;
}

bool init_upgrade_type(PyObject* module) {
  call_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
  return call_type != nullptr && PyModule_AddType(module, call_type) == 0;
}

PyRef make_upgrade_call(Upgradable& upgradable) {
  PyRef self = PyRef::steal(call_type->tp_alloc(call_type, 0));
  if (self) {
    object_of(self.get()).vectorcall = call;
    object_of(self.get()).upgradable = &upgradable;
  }
  return self;
}

Upgradable* upgradable_of(PyObject* upgrade_call, const char* who) {
  if (!Py_IS_TYPE(upgrade_call, call_type)) {
    complain(PyExc_TypeError, who,
             "this is not what a request has for it: environ[\"opaque.upgrade\"], request.upgrade");
    return nullptr;
  }
  Upgradable* const upgradable = object_of(upgrade_call).upgradable;
  if (upgradable == nullptr) {
    complain(PyExc_ValueError, who, "called after the application returned");
    return nullptr;
  }
  leave_if_forked(*upgradable->exchange);
  return upgradable;
}

PyRef take_callback(PyObject* upgrade_call) {
  CallObject& object = object_of(upgrade_call);
  object.upgradable = nullptr;
  return PyRef::steal(std::exchange(object.callback, nullptr));
}

void speak_opaquely(PyObject* callback, const Upgradable& ended) {
  const auto exchange = ended.exchange;
  const PyRef stream =
      make_opaque_stream(exchange, ended.high_water, ended.drop_list, ended.server);
  const PyRef cancelled = make_call_cancelled(exchange);
  const PyRef env = stream && cancelled ? make_env(stream.get(), cancelled.get()) : PyRef();
  const PyRef result = env ? PyRef::steal(PyObject_CallOneArg(callback, env.get())) : PyRef();
  leave_if_forked(*exchange);
  if (!result) {
    const bool departed = PyErr_ExceptionMatches(runtime().client_disconnected) != 0;
    if (departed) PyErr_Clear();
    ended.report(departed ? Severity::debug : Severity::error,
                 request_line(*exchange) + ": " +
                     (departed ? std::string(describe(exchange->departure()))
                               : "the callback of opaque.upgrade failed"));
  }
  stream ? end_opaque_stream(stream.get(), !result) : exchange->abort();
}

}  // namespace prowingen::wsgi
