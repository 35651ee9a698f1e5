// What Python sees of a response: the response itself, its headers and its body's stream. The
// latter two are made when they are asked for and hold the response.
#include <new>
#include <string_view>

#include "http/response_policy.h"
#include "listener/fields.h"
#include "listener/response.h"
#include "wsgi/binary_stream.h"
#include "wsgi/runtime.h"

namespace prowingen::listener {
namespace {

PyTypeObject* response_type = nullptr;
PyTypeObject* headers_type = nullptr;
PyTypeObject* body_type = nullptr;

struct ResponseObject {
  PyObject_HEAD Response response;
};

// Both views of a response: its headers, and its body.
struct ViewObject {
  PyObject_HEAD PyObject* response;
};

Response& viewed(PyObject* self) {
  return response_of(reinterpret_cast<ViewObject*>(self)->response);
}

PyObject* make_view(PyTypeObject* type, PyObject* response) {
  auto* view = PyObject_New(ViewObject, type);
  if (view != nullptr) view->response = Py_NewRef(response);
  return reinterpret_cast<PyObject*>(view);
}

void view_dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  Py_DECREF(reinterpret_cast<ViewObject*>(self)->response);
  type->tp_free(self);
  Py_DECREF(type);
}

PyObject* none_if(bool done) { return done ? Py_NewRef(Py_None) : nullptr; }

// ---- headers

struct Source {
  const Response& response;
  std::size_t size() const { return response.fields.size(); }
  std::string_view name(std::size_t i) const { return response.fields[i].first; }
  std::string_view value(std::size_t i) const { return response.fields[i].second; }
  static Source of(PyObject* self) { return {viewed(self)}; }
};

using Reader = FieldReader<Source>;

bool set_field(PyObject* self, PyObject* key, PyObject* item, bool replace) {
  std::string_view name;
  std::string_view value;
  return text_of(key, "header name", name) && text_of(item, "header value", value) &&
         viewed(self).set_field(name, value, replace);
}

int headers_assign(PyObject* self, PyObject* key, PyObject* item) {
  if (item != nullptr) return set_field(self, key, item, true) ? 0 : -1;
  std::string_view name;
  return text_of(key, "header name", name) && viewed(self).remove_field(name) ? 0 : -1;
}

PyObject* headers_add(PyObject* self, PyObject* const* args, Py_ssize_t count) {
  if (count != 2) {
    PyErr_SetString(PyExc_TypeError, "add() takes a name and a value");
    return nullptr;
  }
  return none_if(set_field(self, args[0], args[1], false));
}

PyMethodDef headers_methods[] = {
    {"add", method(headers_add), METH_FASTCALL,
     "add(name, value, /) -> None\n\nAdds a field line beside those of the same name."},
    {"get", method(Reader::get), METH_FASTCALL,
     "get(name, default=None, /) -> str\n\nThe value, several joined; or the default."},
    {"get_all", Reader::get_all, METH_O, "get_all(name, /) -> list[str]\n\nThe values of a name."},
    {"items", Reader::items, METH_NOARGS,
     "items() -> list[tuple[str, str]]\n\nThe fields in the order set."},
    {nullptr, nullptr, 0, nullptr},
};

PyType_Slot headers_slots[] = {
    {Py_tp_dealloc, reinterpret_cast<void*>(view_dealloc)},
    {Py_tp_methods, headers_methods},
    {Py_tp_iter, reinterpret_cast<void*>(Reader::iterate)},
    {Py_tp_repr, reinterpret_cast<void*>(Reader::repr)},
    {Py_mp_length, reinterpret_cast<void*>(Reader::length)},
    {Py_mp_subscript, reinterpret_cast<void*>(Reader::subscript)},
    {Py_mp_ass_subscript, reinterpret_cast<void*>(headers_assign)},
    {Py_sq_contains, reinterpret_cast<void*>(Reader::contains)},
    {Py_tp_doc, const_cast<char*>("The header fields of a response, until its head is sent.")},
    {0, nullptr},
};

// ---- body

PyObject* body_write(PyObject* self, PyObject* data) {
  const Py_ssize_t size = viewed(self).write(data);
  return size < 0 ? nullptr : PyLong_FromSsize_t(size);
}

PyObject* body_writelines(PyObject* self, PyObject* lines) {
  const PyRef iterator = PyRef::steal(PyObject_GetIter(lines));
  if (!iterator) return nullptr;
  while (const PyRef line = PyRef::steal(PyIter_Next(iterator.get()))) {
    if (viewed(self).write(line.get()) < 0) return nullptr;
  }
  return none_if(PyErr_Occurred() == nullptr);
}

PyObject* body_flush(PyObject* self, PyObject*) { return none_if(viewed(self).flush()); }
PyObject* body_close(PyObject* self, PyObject*) { return none_if(viewed(self).close_body()); }

PyObject* body_exit(PyObject* self, PyObject* const* args, Py_ssize_t count) {
  if (count < 2 || args[1] == Py_None) return none_if(viewed(self).close_body());
  if (!PyExceptionInstance_Check(args[1])) {
    PyErr_SetString(PyExc_TypeError, "__exit__() takes an exception");
    return nullptr;
  }
  viewed(self).leave_body(args[1]);
  Py_RETURN_NONE;
}

PyObject* body_closed(PyObject* self, void*) {
  return PyBool_FromLong(!viewed(self).takes_output());
}

bool check_open(PyObject* self) { return viewed(self).check_open(); }

using File = wsgi::StreamMethods<check_open>;

PyMethodDef body_methods[] = {
    {"write", body_write, METH_O,
     "write(data, /) -> int\n\nAdds bytes, or a copy of what has a buffer; their number.\n"
     "Waits while the client reads slowly. Raises ClientDisconnected once it is gone."},
    {"writelines", body_writelines, METH_O,
     "writelines(lines, /) -> None\n\nWrites each of them, with nothing in between."},
    {"flush", body_flush, METH_NOARGS, "flush() -> None\n\nSends what was written, head included."},
    {"close", body_close, METH_NOARGS,
     "close() -> None\n\nEnds the body: the response ends with its handler, or now if deferred."},
    {"readable", File::no, METH_NOARGS, "readable() -> bool\n\nFalse."},
    {"writable", File::yes, METH_NOARGS, "writable() -> bool\n\nTrue."},
    {"seekable", File::no, METH_NOARGS, "seekable() -> bool\n\nFalse."},
    {"isatty", File::no, METH_NOARGS, "isatty() -> bool\n\nFalse."},
    {"__enter__", File::enter, METH_NOARGS, "The stream, which is closed at the block's end."},
    {"__exit__", method(body_exit), METH_FASTCALL,
     "Closes the stream. After an exception it stays open for the handler to answer otherwise; a\n"
     "deferred response is then answered 500, or broken off if its head has been sent."},
    wsgi::unsupported<"fileno">,
    wsgi::unsupported<"seek">,
    wsgi::unsupported<"tell">,
    wsgi::unsupported<"truncate">,
    wsgi::unsupported<"detach">,
    wsgi::unsupported<"read">,
    wsgi::unsupported<"read1">,
    wsgi::unsupported<"readinto">,
    wsgi::unsupported<"readinto1">,
    wsgi::unsupported<"readline">,
    wsgi::unsupported<"readlines">,
    {nullptr, nullptr, 0, nullptr},
};

PyGetSetDef body_attributes[] = {
    {"closed", body_closed, nullptr, "bool: whether the body has ended.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyType_Slot body_slots[] = {
    {Py_tp_dealloc, reinterpret_cast<void*>(view_dealloc)},
    {Py_tp_methods, body_methods},
    {Py_tp_getset, body_attributes},
    {Py_tp_doc, const_cast<char*>("The body of a response, a writable stream.")},
    {0, nullptr},
};

// ---- response

void response_dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  response_of(self).~Response();
  type->tp_free(self);
  Py_DECREF(type);
}

PyObject* get_status(PyObject* self, void*) { return PyLong_FromLong(response_of(self).status); }

int set_status(PyObject* self, PyObject* value, void*) {
  const long status = value == nullptr ? 0 : PyLong_AsLong(value);
  if (status == -1 && PyErr_Occurred()) return -1;
  if (!response_of(self).head_is_open()) return -1;
  if (status < 200 || status > 999) {
    PyErr_Format(PyExc_ValueError, "response.status_code: %ld: must be 200 to 999", status);
    return -1;
  }
  response_of(self).status = static_cast<int>(status);
  return 0;
}

PyObject* get_reason(PyObject* self, void*) {
  const Response& response = response_of(self);
  return wsgi::latin1(response.reason.empty() ? reason_phrase(response.status)
                                              : std::string_view(response.reason));
}

int set_reason(PyObject* self, PyObject* value, void*) {
  std::string_view text;
  if (value == nullptr || value == Py_None) {
    text = {};
  } else if (!text_of(value, "response.reason", text)) {
    return -1;
  }
  if (!response_of(self).head_is_open()) return -1;
  if (!is_field_value(text)) {
    PyErr_SetString(PyExc_ValueError, "response.reason has a control character");
    return -1;
  }
  response_of(self).reason = text;
  return 0;
}

PyObject* get_headers(PyObject* self, void*) { return make_view(headers_type, self); }
PyObject* get_body(PyObject* self, void*) { return make_view(body_type, self); }

PyObject* get_is_open(PyObject* self, void*) {
  return PyBool_FromLong(response_of(self).is_open());
}

PyObject* response_defer(PyObject* self, PyObject*) { return none_if(response_of(self).defer()); }
PyObject* response_close(PyObject* self, PyObject*) { return none_if(response_of(self).close()); }

PyGetSetDef response_attributes[] = {
    {"status_code", get_status, set_status, "int: 200 to 999; 200 unless it is set.", nullptr},
    {"reason", get_reason, set_reason, "str: the reason phrase; the status's own unless set.",
     nullptr},
    {"headers", get_headers, nullptr, "ResponseHeaders: the header fields.", nullptr},
    {"body", get_body, nullptr, "ResponseBody: the body, a writable stream.", nullptr},
    {"is_open", get_is_open, nullptr, "bool: whether anybody still waits for the answer.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyMethodDef response_methods[] = {
    {"defer", response_defer, METH_NOARGS,
     "defer() -> None\n\nLets the handler return before the response has ended: any thread can\n"
     "then go on with it, and must close() it."},
    {"close", response_close, METH_NOARGS,
     "close() -> None\n\nEnds the response. Done by itself when the handler returns. Idempotent."},
    {nullptr, nullptr, 0, nullptr},
};

PyType_Slot response_slots[] = {
    {Py_tp_dealloc, reinterpret_cast<void*>(response_dealloc)},
    {Py_tp_methods, response_methods},
    {Py_tp_getset, response_attributes},
    {Py_tp_doc, const_cast<char*>("A response, as a handler of create_server() fills it in.")},
    {0, nullptr},
};

constexpr unsigned flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION;

PyType_Spec headers_spec = {"prowingen_wsgi._native.ResponseHeaders", sizeof(ViewObject), 0, flags,
                            headers_slots};
PyType_Spec body_spec = {"prowingen_wsgi._native.ResponseBody", sizeof(ViewObject), 0, flags,
                         body_slots};
PyType_Spec response_spec = {"prowingen_wsgi._native.Response", sizeof(ResponseObject), 0, flags,
                             response_slots};

}  // namespace

bool init_response_types(PyObject* module) {
  const std::pair<PyTypeObject**, PyType_Spec*> types[] = {
      {&headers_type, &headers_spec}, {&body_type, &body_spec}, {&response_type, &response_spec}};
  for (const auto& [type, spec] : types) {
    *type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(spec));
    if (*type == nullptr || PyModule_AddType(module, *type) < 0) return false;
  }
  return wsgi::register_binary_stream(body_type);
}

PyRef make_response(std::shared_ptr<Exchange> exchange, WorkQueue& queue, wsgi::DropList& drop_list,
                    wsgi::LeftOutFields& left_out, const wsgi::AnswerRules& rules,
                    const wsgi::ReportError& report, PyRef request, PyRef server) {
  auto* object = PyObject_New(ResponseObject, response_type);
  if (object == nullptr) return {};
  new (&object->response) Response(std::move(exchange), queue, drop_list, left_out, rules, report,
                                   std::move(request), std::move(server));
  return PyRef::steal(reinterpret_cast<PyObject*>(object));
}

Response& response_of(PyObject* object) {
  return reinterpret_cast<ResponseObject*>(object)->response;
}

}  // namespace prowingen::listener
