#include "wsgi/environ.h"

#include <chrono>

#include "http/request_target.h"
#include "wsgi/runtime.h"

namespace prowingen::wsgi {
namespace {

// Names a client makes up must not fill the memory.
constexpr std::size_t max_cached_names = 1024;

bool set(PyObject* dict, PyObject* key, PyRef value) {
  return value && PyDict_SetItem(dict, key, value.get()) == 0;
}

PyRef method_text(std::string_view method) {
  const Runtime& r = runtime();
  if (method == "GET") return PyRef::borrow(r.get);
  if (method == "POST") return PyRef::borrow(r.post);
  if (method == "HEAD") return PyRef::borrow(r.head);
  return PyRef::steal(latin1(method));
}

// Joins the values of a repeated field (RFC 9110 section 5.3; Cookie: RFC 6265 section 5.4).
bool join(PyObject* environ, PyObject* key, PyObject* value) {
  PyObject* first = PyDict_GetItemWithError(environ, key);
  if (first == nullptr) return false;
  const char* format = key == runtime().http_cookie ? "%U; %U" : "%U,%U";
  return set(environ, key, PyRef::steal(PyUnicode_FromFormat(format, first, value)));
}

}  // namespace

PyObject* FieldNames::key_at(std::size_t place, std::string_view name) {
  if (place >= seen_.size()) return key(name);
  Seen& seen = seen_[place];
  if (seen.name == name) return seen.key;
  PyObject* const found = key(name);
  if (const auto kept = keys_.find(name); kept != keys_.end()) seen = {kept->first, found};
  return found;
}

PyObject* FieldNames::key(std::string_view name) {
  if (const auto found = keys_.find(name); found != keys_.end()) return found->second.get();
  PyRef key;
  if (name.find('_') == std::string_view::npos) {
    std::string text = "HTTP_";
    for (const char c : name) {
      text.push_back(c == '-' ? '_' : c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c);
    }
    const bool bare = text == "HTTP_CONTENT_TYPE" || text == "HTTP_CONTENT_LENGTH";
    PyObject* made = PyUnicode_FromStringAndSize(
        text.data() + (bare ? 5 : 0), static_cast<Py_ssize_t>(text.size() - (bare ? 5 : 0)));
    if (made == nullptr) return nullptr;
    PyUnicode_InternInPlace(&made);
    key = PyRef::steal(made);
  }
  PyObject* result = key.get();
  if (keys_.size() < max_cached_names) {
    keys_.emplace(std::string(name), std::move(key));
  } else {
    last_ = std::move(key);
  }
  return result;
}

bool EnvironBuilder::init(bool multithread, bool multiprocess, std::string_view software,
                          PyRef errors, bool tells_wait) {
  const Runtime& r = runtime();
  errors_ = std::move(errors);
  tells_wait_ = tells_wait;
  PyObject* const sys = PyImport_AddModule("sys");
  if (sys == nullptr) return false;
  sys_ = PyRef::borrow(PyModule_GetDict(sys));
  template_ = PyRef::steal(PyDict_New());
  if (!template_) return false;
  PyObject* dict = template_.get();
  const auto put = [&](const char* name, PyObject* value) {
    return set(dict, PyUnicode_InternFromString(name), PyRef::steal(value));
  };
  for (PyObject* key :
       {r.request_method, r.path_info, r.query_string, r.request_uri, r.raw_uri, r.server_name,
        r.server_port, r.server_protocol, r.remote_addr, r.remote_port, r.wsgi_input, r.wsgi_errors,
        r.wsgi_trailers, r.wsgi_early_hints, r.send_trailers, r.client_departure}) {
    if (PyDict_SetItem(dict, key, Py_None) < 0) return false;
  }
  return put("wsgi.version", Py_BuildValue("(ii)", 1, 0)) &&
         put("wsgi.url_scheme", PyUnicode_InternFromString("http")) &&
         put("wsgi.multithread", PyBool_FromLong(multithread)) &&
         put("wsgi.multiprocess", PyBool_FromLong(multiprocess)) &&
         put("wsgi.run_once", Py_NewRef(Py_False)) &&
         put("wsgi.input_terminated", Py_NewRef(Py_True)) &&
         put("wsgi.file_wrapper", Py_NewRef(reinterpret_cast<PyObject*>(r.file_wrapper_type))) &&
         set(dict, r.server_software, PyRef::steal(latin1(software))) &&
         PyDict_SetItem(dict, r.script_name, r.empty) == 0;
}

PyRef EnvironBuilder::build(const Exchange& exchange, const Parts& parts) {
  const Runtime& r = runtime();
  const RequestHead& head = exchange.request;
  const TargetParts target = split_target(head.target());
  PyRef environ = PyRef::steal(PyDict_Copy(template_.get()));
  if (!environ) return {};
  PyObject* dict = environ.get();
  PyRef raw = PyRef::steal(latin1(head.target()));
  if (!raw || PyDict_SetItem(dict, r.request_uri, raw.get()) < 0 ||
      PyDict_SetItem(dict, r.raw_uri, raw.get()) < 0) {
    return {};
  }
  PyObject* errors =
      errors_ ? errors_.get() : PyDict_GetItemWithError(sys_.get(), r.standard_error);
  if (errors == nullptr && PyErr_Occurred()) return {};
  const bool done =
      set(dict, r.request_method, method_text(head.method())) &&
      set(dict, r.path_info,
          PyRef::steal(
              latin1(application_path(exchange, percent_decode(target.path, decoded_path_))))) &&
      set(dict, r.query_string, PyRef::steal(latin1(target.query))) &&
      PyDict_SetItem(dict, r.server_protocol,
                     head.version.major == 2             ? r.http_2_0
                     : head.version.major == 3           ? r.http_3_0
                     : head.version == HttpVersion{1, 1} ? r.http_1_1
                                                         : r.http_1_0) == 0 &&
      set_local_end(dict, *exchange.peer) &&
      set(dict, r.remote_addr, PyRef::steal(latin1(exchange.peer->remote_address))) &&
      set(dict, r.remote_port, PyRef::steal(latin1(exchange.peer->remote_port))) &&
      PyDict_SetItem(dict, r.wsgi_input, parts.input) == 0 &&
      PyDict_SetItem(dict, r.wsgi_trailers, parts.trailers) == 0 &&
      PyDict_SetItem(dict, r.wsgi_early_hints, parts.calls.early_hints()) == 0 &&
      PyDict_SetItem(dict, r.send_trailers, parts.calls.send_trailers()) == 0 &&
      PyDict_SetItem(dict, r.client_departure, parts.client_departure) == 0 &&
      PyDict_SetItem(dict, r.wsgi_errors, errors == nullptr ? Py_None : errors) == 0 &&
      set_fields(dict, exchange, target.authority) &&
      (exchange.deadline == SteadyTime() || set_deadline(dict, exchange.deadline)) &&
      (!tells_wait_ || set_wait(dict, exchange)) &&
      (exchange.peer->tls == nullptr || set_tls(dict, *exchange.peer->tls)) &&
      (exchange.peer->forwarded == nullptr || set_forwarded(dict, *exchange.peer->forwarded));
  return done ? std::move(environ) : PyRef();
}

bool EnvironBuilder::set_fields(PyObject* environ, const Exchange& exchange,
                                std::string_view authority) {
  const RequestHead& head = exchange.request;
  std::size_t place = 0;
  for (const FieldLine& field : head.fields()) {
    const std::size_t here = place++;
    PyObject* key = names_.key_at(here, head.view(field.name));
    if (key == nullptr) {
      if (PyErr_Occurred()) return false;
      continue;
    }
    const auto text = head.view(field.value);
    const PyRef value =
        here < values_.size() ? values_[here].make(text) : PyRef::steal(latin1(text));
    if (!value) return false;
    const Py_ssize_t size = PyDict_GET_SIZE(environ);
    if (PyDict_SetDefault(environ, key, value.get()) == nullptr) return false;
    if (PyDict_GET_SIZE(environ) == size && !join(environ, key, value.get())) return false;
  }
  // An absolute-form target overrides Host (RFC 9112 section 3.2.2).
  return authority.empty() || set(environ, runtime().http_host, PyRef::steal(latin1(authority)));
}

bool EnvironBuilder::set_local_end(PyObject* environ, const ConnectionInfo& peer) {
  const bool secure = peer.scheme == "https";
  if (!local_.name || local_.address != peer.local_address || local_.port != peer.local_port ||
      local_.secure != secure) {
    // A Unix socket has no name of its own; PEP 3333 wants non-empty strings.
    const bool named = !peer.local_address.empty();
    local_ = {peer.local_address, peer.local_port, secure,
              PyRef::steal(latin1(named ? peer.local_address : "localhost")),
              PyRef::steal(latin1(named    ? peer.local_port
                                  : secure ? "443"
                                           : "80"))};
    if (!local_.name || !local_.number) return false;
  }
  const Runtime& r = runtime();
  return (!secure || PyDict_SetItem(environ, r.wsgi_url_scheme, r.https) == 0) &&
         PyDict_SetItem(environ, r.server_name, local_.name.get()) == 0 &&
         PyDict_SetItem(environ, r.server_port, local_.number.get()) == 0;
}

// As time.monotonic() tells the time, which has the same clock.
bool EnvironBuilder::set_deadline(PyObject* environ, SteadyTime deadline) {
  const std::chrono::duration<double> seconds = deadline.time_since_epoch();
  return set(environ, runtime().deadline, PyRef::steal(PyFloat_FromDouble(seconds.count())));
}

bool EnvironBuilder::set_wait(PyObject* environ, const Exchange& exchange) {
  const std::chrono::duration<double> wait = exchange.taken_at - exchange.queued_at;
  return set(environ, runtime().queue_time, PyRef::steal(PyFloat_FromDouble(wait.count())));
}

// The names are mod_ssl's, which applications know.
bool EnvironBuilder::set_tls(PyObject* environ, const TlsFacts& tls) {
  const auto put = [&](const char* key, std::string_view text) {
    const PyRef value = PyRef::steal(latin1(text));
    return value && PyDict_SetItemString(environ, key, value.get()) == 0;
  };
  const bool verified = !tls.client_certificate.empty();
  return put("SSL_PROTOCOL", tls.protocol) && put("SSL_CIPHER", tls.cipher) &&
         (tls.server_name.empty() || put("SSL_TLS_SNI", tls.server_name)) &&
         put("SSL_CLIENT_VERIFY", verified ? "SUCCESS" : "NONE") &&
         (!verified || (put("SSL_CLIENT_CERT", tls.client_certificate) &&
                        put("SSL_CLIENT_S_DN", tls.client_subject) &&
                        put("SSL_CLIENT_I_DN", tls.client_issuer)));
}

// The request as a proxy's client made it.
bool EnvironBuilder::set_forwarded(PyObject* environ, const ForwardedTarget& forwarded) {
  const Runtime& r = runtime();
  const auto set_unless_empty = [&](PyObject* key, std::string_view text) {
    return text.empty() || set(environ, key, PyRef::steal(latin1(text)));
  };
  return set_unless_empty(r.http_host, forwarded.host) &&
         set_unless_empty(r.server_name, forwarded.server_name) &&
         set_unless_empty(r.server_port, forwarded.server_port) &&
         set_unless_empty(r.script_name, forwarded.prefix);
}

}  // namespace prowingen::wsgi
