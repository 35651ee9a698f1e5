#include "wsgi/answer_calls.h"

#include <structmember.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "http/octets.h"
#include "http/response_policy.h"
#include "wsgi/environ.h"
#include "wsgi/field_list.h"
#include "wsgi/forked_child.h"
#include "wsgi/responder.h"
#include "wsgi/runtime.h"

namespace prowingen::wsgi {
namespace {

struct CallObject {
  PyObject_HEAD vectorcallfunc vectorcall;
  Responder* responder;  // null: the answer is over
};

// Space around a value says nothing, and is malformed on HTTP/2 (RFC 9113 section 8.2.1).
template <std::optional<FieldFault> (*check)(std::string_view, std::string_view)>
bool read_fields(const char* caller, PyObject* fields, FieldSection& section) {
  return add_fields(caller, fields, [&](std::string_view name, std::string_view value) {
    const auto fault = check(name, value);
    if (!fault) section.add_field(name, trim(value));
    return fault;
  });
}

struct EarlyHints {
  static constexpr const char* name = "early_hints";
  static constexpr const char* expects = "early_hints: headers must be a list of tuples";

  static bool act(Responder& responder, PyObject* fields) {
    if (responder.head_sent()) {
      return complain(PyExc_AssertionError, name,
                      "called after the answer's head was sent, which it has to come before");
    }
    ResponseHead head;
    head.status = 103;
    head.reason = reason_phrase(head.status);
    return read_fields<check_interim_field>(name, fields, head) &&
           responder.inform(std::move(head));
  }
};

struct SendTrailers {
  static constexpr const char* name = "send_trailers";
  static constexpr const char* expects = "send_trailers: trailers must be a list of tuples";

  static bool act(Responder& responder, PyObject* fields) {
    if (responder.finished()) {
      return complain(PyExc_AssertionError, name,
                      "called after the answer's end, which it has to come before");
    }
    auto trailers = std::make_unique<FieldSection>();
    if (!read_fields<check_response_trailer>(name, fields, *trailers)) return false;
    responder.set_trailers(trailers->fields().empty() ? nullptr : std::move(trailers));
    return true;
  }
};

template <typename Action>
PyObject* call(PyObject* self, PyObject* const* args, size_t nargsf, PyObject* names) {
  auto* object = reinterpret_cast<CallObject*>(self);
  if (PyVectorcall_NARGS(nargsf) != 1 || names != nullptr) {
    PyErr_Format(PyExc_TypeError,
                 "%s() takes exactly one positional argument: a list of (name, value) tuples",
                 Action::name);
    return nullptr;
  }
  // An iterator's code runs here, and may outlast the answer.
  const PyRef fields = PyRef::steal(PySequence_Fast(args[0], Action::expects));
  if (!fields) return nullptr;
  if (object->responder == nullptr) {
    complain(PyExc_ValueError, Action::name, "called after the application returned");
    return nullptr;
  }
  leave_if_forked(object->responder->exchange());
  if (!Action::act(*object->responder, fields.get())) return nullptr;
  Py_RETURN_NONE;
}

void dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  type->tp_free(self);
  Py_DECREF(type);
}

PyMemberDef members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(CallObject, vectorcall), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_dealloc, reinterpret_cast<void*>(dealloc)},
    {Py_tp_call, reinterpret_cast<void*>(PyVectorcall_Call)},
    {Py_tp_members, members},
    {Py_tp_doc, const_cast<char*>("Takes a list of (name, value) tuples: wsgi.early_hints sends "
                                  "them as 103, prowingen.send_trailers behind the body.")},
    {0, nullptr},
};

PyType_Spec spec = {
    "prowingen_wsgi._native.AnswerCall", sizeof(CallObject), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};

template <typename Action>
bool connect(PyRef& object, Responder& responder) {
  if (!object) {
    auto* made = PyObject_New(CallObject, runtime().answer_call_type);
    if (made == nullptr) return false;
    made->vectorcall = call<Action>;
    object = PyRef::steal(reinterpret_cast<PyObject*>(made));
  }
  reinterpret_cast<CallObject*>(object.get())->responder = &responder;
  return true;
}

void disconnect(PyRef& object, const EnvironBuilder& environs) {
  if (!object) return;
  reinterpret_cast<CallObject*>(object.get())->responder = nullptr;
  if (!environs.is_back(object.get())) object = PyRef();
}

}  // namespace

PyTypeObject* make_answer_call_type() {
  return reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
}

bool AnswerCalls::lend(Responder& responder) {
  return connect<EarlyHints>(early_hints_, responder) &&
         connect<SendTrailers>(send_trailers_, responder);
}

void AnswerCalls::take_back(const EnvironBuilder& environs) {
  disconnect(early_hints_, environs);
  disconnect(send_trailers_, environs);
}

}  // namespace prowingen::wsgi
