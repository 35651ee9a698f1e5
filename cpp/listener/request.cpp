#include "listener/request.h"

#include <charconv>
#include <new>
#include <string>
#include <string_view>
#include <utility>

#include "http/request_target.h"
#include "listener/fields.h"
#include "wsgi/input.h"
#include "wsgi/runtime.h"

namespace prowingen::listener {
namespace {

using wsgi::latin1;

PyTypeObject* request_type = nullptr;
PyTypeObject* request_headers_type = nullptr;

// ---- headers

class RequestFields {
 public:
  explicit RequestFields(PyObject* request) : request_(PyRef::borrow(request)) {}

  std::size_t size() const { return head().fields().size(); }
  std::string_view name(std::size_t i) const { return head().view(head().fields()[i].name); }
  std::string_view value(std::size_t i) const { return head().view(head().fields()[i].value); }

  static RequestFields& of(PyObject* self);

 private:
  const RequestHead& head() const;

  PyRef request_;
};

struct RequestHeadersObject {
  PyObject_HEAD RequestFields fields;
};

RequestFields& RequestFields::of(PyObject* self) {
  return reinterpret_cast<RequestHeadersObject*>(self)->fields;
}

using Reader = FieldReader<RequestFields>;

template <class Object, class Payload>
void dealloc(PyObject* self, Payload Object::*payload) {
  PyTypeObject* type = Py_TYPE(self);
  (reinterpret_cast<Object*>(self)->*payload).~Payload();
  type->tp_free(self);
  Py_DECREF(type);
}

void headers_dealloc(PyObject* self) { dealloc(self, &RequestHeadersObject::fields); }

PyMethodDef headers_methods[] = {
    {"get", method(Reader::get), METH_FASTCALL,
     "get(name, default=None, /) -> str\n\nThe value, several joined; or the default."},
    {"get_all", Reader::get_all, METH_O, "get_all(name, /) -> list[str]\n\nThe values of a name."},
    {"items", Reader::items, METH_NOARGS,
     "items() -> list[tuple[str, str]]\n\nThe fields in the order received."},
    {nullptr, nullptr, 0, nullptr},
};

PyType_Slot headers_slots[] = {
    {Py_tp_dealloc, reinterpret_cast<void*>(headers_dealloc)},
    {Py_tp_methods, headers_methods},
    {Py_tp_iter, reinterpret_cast<void*>(Reader::iterate)},
    {Py_tp_repr, reinterpret_cast<void*>(Reader::repr)},
    {Py_mp_length, reinterpret_cast<void*>(Reader::length)},
    {Py_mp_subscript, reinterpret_cast<void*>(Reader::subscript)},
    {Py_sq_contains, reinterpret_cast<void*>(Reader::contains)},
    {Py_tp_doc, const_cast<char*>("The header fields of a request; names in any case.")},
    {0, nullptr},
};

constexpr unsigned flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION;

PyType_Spec headers_spec = {"prowingen_wsgi._native.RequestHeaders", sizeof(RequestHeadersObject),
                            0, flags, headers_slots};

// ---- request

struct Request {
  PyRef server;  // the last to go
  std::shared_ptr<Exchange> exchange;
  PyRef body;
  PyRef upgrade;

  const RequestHead& head() const { return exchange->request; }
};

struct RequestObject {
  PyObject_HEAD Request request;
};

Request& request_of(PyObject* self) { return reinterpret_cast<RequestObject*>(self)->request; }

const RequestHead& RequestFields::head() const { return request_of(request_.get()).head(); }

void request_dealloc(PyObject* self) { dealloc(self, &RequestObject::request); }

PyObject* get_method(PyObject* self, void*) {
  const auto& r = wsgi::runtime();
  const auto name = request_of(self).head().method();
  if (name == "GET") return Py_NewRef(r.get);
  if (name == "POST") return Py_NewRef(r.post);
  return latin1(name);
}

PyObject* get_path_and_query(PyObject* self, void*) {
  const auto target = request_of(self).head().target();
  const auto parts = split_target(target);
  if (parts.form != TargetForm::absolute) return latin1(target);
  std::string text(parts.path);
  if (!parts.query.empty()) text.append("?").append(parts.query);
  return latin1(text);
}

PyObject* get_http_version(PyObject* self, void*) {
  const HttpVersion version = request_of(self).head().version;
  if (version.major >= 2) return PyUnicode_FromString(version.major == 2 ? "2" : "3");
  return PyUnicode_FromString(version == HttpVersion{1, 1} ? "1.1" : "1.0");
}

PyObject* get_headers(PyObject* self, void*) {
  auto* headers = PyObject_New(RequestHeadersObject, request_headers_type);
  if (headers != nullptr) new (&headers->fields) RequestFields(self);
  return reinterpret_cast<PyObject*>(headers);
}

PyObject* get_body(PyObject* self, void*) {
  Request& request = request_of(self);
  if (!request.body) request.body = wsgi::make_input(request.exchange, nullptr);
  return Py_XNewRef(request.body.get());
}

PyObject* get_scheme(PyObject* self, void*) {
  return latin1(request_of(self).exchange->peer->scheme);
}

PyObject* get_is_secure(PyObject* self, void*) {
  return PyBool_FromLong(request_of(self).exchange->peer->scheme == "https");
}

PyObject* get_upgrade(PyObject* self, void*) {
  PyObject* const upgrade = request_of(self).upgrade.get();
  return Py_NewRef(upgrade == nullptr ? Py_None : upgrade);
}

PyObject* end_of_connection(std::string_view address, std::string_view port) {
  if (address.empty()) Py_RETURN_NONE;  // a Unix socket
  long number = 0;
  std::from_chars(port.data(), port.data() + port.size(), number);
  return Py_BuildValue("(Nl)", latin1(address), number);
}

PyObject* get_peer(PyObject* self, void*) {
  const auto& peer = *request_of(self).exchange->peer;
  return end_of_connection(peer.remote_address, peer.remote_port);
}

PyObject* get_local(PyObject* self, void*) {
  const auto& peer = *request_of(self).exchange->peer;
  return end_of_connection(peer.local_address, peer.local_port);
}

PyObject* request_repr(PyObject* self) {
  const auto& head = request_of(self).head();
  return latin1("<Request " + std::string(head.method()) + " " + std::string(head.target()) + ">");
}

PyGetSetDef request_attributes[] = {
    {"method", get_method, nullptr, "str: the method, as sent.", nullptr},
    {"path_and_query", get_path_and_query, nullptr,
     "str: path and query, still percent-encoded (RFC 9112 section 3.2).", nullptr},
    {"http_version", get_http_version, nullptr, "str: 1.0, 1.1, 2 or 3.", nullptr},
    {"headers", get_headers, nullptr, "RequestHeaders: the header fields.", nullptr},
    {"body", get_body, nullptr, "Input: the body, a readable stream.", nullptr},
    {"scheme", get_scheme, nullptr, "str: http or https.", nullptr},
    {"is_secure", get_is_secure, nullptr, "bool: whether it came over TLS.", nullptr},
    {"upgrade", get_upgrade, nullptr,
     "OpaqueUpgrade | None: by which another protocol is switched to; None: it can not be.",
     nullptr},
    {"peer", get_peer, nullptr,
     "tuple[str, int] | None: the client's address and port; None over a Unix socket.", nullptr},
    {"local", get_local, nullptr, "tuple[str, int] | None: this end's address and port.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyType_Slot request_slots[] = {
    {Py_tp_dealloc, reinterpret_cast<void*>(request_dealloc)},
    {Py_tp_getset, request_attributes},
    {Py_tp_repr, reinterpret_cast<void*>(request_repr)},
    {Py_tp_doc, const_cast<char*>("A request, as a handler of create_server() is given it.")},
    {0, nullptr},
};

PyType_Spec request_spec = {"prowingen_wsgi._native.Request", sizeof(RequestObject), 0, flags,
                            request_slots};

}  // namespace

bool init_request_types(PyObject* module) {
  request_headers_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&headers_spec));
  request_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&request_spec));
  return request_headers_type != nullptr && request_type != nullptr &&
         PyModule_AddType(module, request_headers_type) == 0 &&
         PyModule_AddType(module, request_type) == 0;
}

PyRef make_request(std::shared_ptr<Exchange> exchange, PyRef server) {
  auto* object = PyObject_New(RequestObject, request_type);
  if (object == nullptr) return {};
  new (&object->request) Request{std::move(server), std::move(exchange), {}, {}};
  return PyRef::steal(reinterpret_cast<PyObject*>(object));
}

void set_upgrade(PyObject* request, PyRef upgrade) {
  request_of(request).upgrade = std::move(upgrade);
}

PyRef opened_body(PyObject* request) { return PyRef::borrow(request_of(request).body.get()); }

}  // namespace prowingen::listener
