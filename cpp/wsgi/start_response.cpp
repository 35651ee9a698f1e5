#include "wsgi/start_response.h"

#include <structmember.h>

#include <cstddef>
#include <string>
#include <string_view>

#include "http/response_policy.h"
#include "wsgi/field_list.h"
#include "wsgi/forked_child.h"
#include "wsgi/responder.h"
#include "wsgi/runtime.h"

namespace prowingen::wsgi {
namespace {

struct WriteObject {
  PyObject_HEAD vectorcallfunc vectorcall;
  Responder* responder;  // null: the answer is over
};

struct StartResponseObject {
  PyObject_HEAD vectorcallfunc vectorcall;
  Responder* responder;
  PyObject* write;
};

constexpr const char* caller = "start_response";

bool fail(PyObject* type, const std::string& message) { return complain(type, caller, message); }

bool reraise(PyObject* exc_info) {
  PyObject* type;
  PyObject* value;
  PyObject* traceback;
  if (!PyArg_ParseTuple(exc_info, "OOO", &type, &value, &traceback)) return false;
  PyErr_Restore(Py_NewRef(type), Py_NewRef(value),
                traceback == Py_None ? nullptr : Py_NewRef(traceback));
  return false;
}

// start_response(status, headers, exc_info); `exc_info` may be null. False with an error set.
bool start(Responder& responder, PyObject* status, PyObject* headers, PyObject* exc_info) {
  if (exc_info != nullptr && exc_info != Py_None) {
    if (!PyTuple_Check(exc_info)) {
      return fail(PyExc_TypeError, "exc_info must be a tuple of sys.exc_info()");
    }
    if (responder.head_sent()) return reraise(exc_info);
  } else if (responder.started()) {
    return fail(PyExc_AssertionError, "called a second time without exc_info (PEP 3333)");
  }
  if (!PyList_Check(headers)) {
    PyErr_Format(PyExc_TypeError, "start_response: headers must be a list, not %.100s",
                 Py_TYPE(headers)->tp_name);
    return false;
  }
  std::string_view text;
  if (!text_of(caller, status, "status", text)) return false;
  const auto line = parse_status(text);
  if (!line) {
    return fail(PyExc_ValueError, "status " + quoted(text) +
                                      " must be three digits from 200 on, a space and a reason");
  }
  if (responder.is_switch(line->status) && !responder.may_switch()) {
    return fail(PyExc_ValueError, "status " + quoted(text) +
                                      (responder.is_connect() ? " of a CONNECT" : "") +
                                      " is for requests whose environ has opaque.upgrade, after "
                                      "that was called");
  }
  if (!is_field_value(line->reason)) {
    return fail(PyExc_ValueError, "status " + quoted(text) + " has a control character");
  }
  responder.begin(line->status, line->reason);
  if (!add_fields(caller, headers, [&](std::string_view name, std::string_view value) {
        return responder.add_field(name, value);
      })) {
    return false;
  }
  responder.end_head();
  return true;
}

PyObject* call_write(PyObject* self, PyObject* const* args, size_t nargsf, PyObject* names) {
  Responder* responder = reinterpret_cast<WriteObject*>(self)->responder;
  if (PyVectorcall_NARGS(nargsf) != 1 || names != nullptr) {
    PyErr_SetString(PyExc_TypeError, "write() takes exactly one positional argument: bytes");
    return nullptr;
  }
  if (responder == nullptr) {
    PyErr_SetString(PyExc_ValueError, "write() called after the application returned");
    return nullptr;
  }
  leave_if_forked(responder->exchange());
  if (!responder->write(args[0], false)) return nullptr;
  responder = reinterpret_cast<WriteObject*>(self)->responder;  // it may have gone meanwhile
  if (responder != nullptr && !responder->complaint().empty()) {
    // PEP 3333 "Handling the Content-Length Header": writing too much is an error.
    PyErr_SetString(PyExc_AssertionError, responder->complaint().c_str());
    return nullptr;
  }
  Py_RETURN_NONE;
}

PyObject* call_start_response(PyObject* self, PyObject* const* args, size_t nargsf,
                              PyObject* names) {
  auto* object = reinterpret_cast<StartResponseObject*>(self);
  const Py_ssize_t count = PyVectorcall_NARGS(nargsf);
  PyObject* exc_info = count == 3 ? args[2] : nullptr;
  const Py_ssize_t named = names == nullptr ? 0 : PyTuple_GET_SIZE(names);
  if (named == 1 && count == 2 &&
      PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(names, 0), "exc_info") == 0) {
    exc_info = args[2];
  } else if (named != 0 || count < 2 || count > 3) {
    PyErr_SetString(PyExc_TypeError,
                    "start_response takes (status, response_headers, exc_info=None)");
    return nullptr;
  }
  if (object->responder == nullptr) {
    PyErr_SetString(PyExc_ValueError, "start_response called after the application returned");
    return nullptr;
  }
  leave_if_forked(object->responder->exchange());
  if (!start(*object->responder, args[0], args[1], exc_info)) return nullptr;
  return Py_NewRef(object->write);
}

void write_dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  type->tp_free(self);
  Py_DECREF(type);
}

void start_response_dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  Py_XDECREF(reinterpret_cast<StartResponseObject*>(self)->write);
  type->tp_free(self);
  Py_DECREF(type);
}

PyMemberDef write_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(WriteObject, vectorcall), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr},
};
PyMemberDef start_response_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(StartResponseObject, vectorcall), READONLY,
     nullptr},
    {nullptr, 0, 0, 0, nullptr},
};

PyType_Slot write_slots[] = {
    {Py_tp_dealloc, reinterpret_cast<void*>(write_dealloc)},
    {Py_tp_call, reinterpret_cast<void*>(PyVectorcall_Call)},
    {Py_tp_members, write_members},
    {Py_tp_doc, const_cast<char*>("write(body: bytes, /) -> None\n\nSends a piece (PEP 3333).")},
    {0, nullptr},
};
PyType_Slot start_response_slots[] = {
    {Py_tp_dealloc, reinterpret_cast<void*>(start_response_dealloc)},
    {Py_tp_call, reinterpret_cast<void*>(PyVectorcall_Call)},
    {Py_tp_members, start_response_members},
    {Py_tp_doc, const_cast<char*>("start_response(status, response_headers, exc_info=None) -> "
                                  "write\n\nBegins the answer (PEP 3333).")},
    {0, nullptr},
};

constexpr unsigned flags =
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_DISALLOW_INSTANTIATION;

PyType_Spec write_spec = {"prowingen_wsgi._native.Write", sizeof(WriteObject), 0, flags,
                          write_slots};
PyType_Spec start_response_spec = {"prowingen_wsgi._native.StartResponse",
                                   sizeof(StartResponseObject), 0, flags, start_response_slots};

void connect(PyObject* object, Responder* responder) {
  auto* self = reinterpret_cast<StartResponseObject*>(object);
  self->responder = responder;
  reinterpret_cast<WriteObject*>(self->write)->responder = responder;
}

PyObject* make() {
  auto* write = PyObject_New(WriteObject, runtime().write_type);
  if (write == nullptr) return nullptr;
  write->vectorcall = call_write;
  write->responder = nullptr;
  auto* self = PyObject_New(StartResponseObject, runtime().start_response_type);
  if (self == nullptr) {
    Py_DECREF(write);
    return nullptr;
  }
  self->vectorcall = call_start_response;
  self->write = reinterpret_cast<PyObject*>(write);
  return reinterpret_cast<PyObject*>(self);
}

}  // namespace

PyTypeObject* make_start_response_type() {
  return reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&start_response_spec));
}

PyTypeObject* make_write_type() {
  return reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&write_spec));
}

PyObject* StartResponse::lend(Responder& responder) {
  if (!object_) object_ = PyRef::steal(make());
  if (object_) connect(object_.get(), &responder);
  return object_.get();
}

void StartResponse::take_back() {
  if (!object_) return;
  connect(object_.get(), nullptr);
  PyObject* write = reinterpret_cast<StartResponseObject*>(object_.get())->write;
  if (Py_REFCNT(object_.get()) != 1 || Py_REFCNT(write) != 1) object_ = PyRef();
}

}  // namespace prowingen::wsgi
