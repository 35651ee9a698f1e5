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
       {r.request_method, r.path_info, r.request_uri, r.raw_uri, r.server_name, r.server_port,
        r.server_protocol, r.remote_addr, r.remote_port, r.wsgi_input, r.wsgi_errors,
        r.wsgi_trailers, r.wsgi_early_hints, r.send_trailers, r.client_departure}) {
    if (PyDict_SetItem(dict, key, Py_None) < 0) return false;
  }
  standing_.errors = Py_None;
  if (!set_errors(dict)) return false;
  standing_.errors = PyDict_GetItemWithError(dict, r.wsgi_errors);
  return put("wsgi.version", Py_BuildValue("(ii)", 1, 0)) &&
         put("wsgi.url_scheme", PyUnicode_InternFromString("http")) &&
         put("wsgi.multithread", PyBool_FromLong(multithread)) &&
         put("wsgi.multiprocess", PyBool_FromLong(multiprocess)) &&
         put("wsgi.run_once", Py_NewRef(Py_False)) &&
         put("wsgi.input_terminated", Py_NewRef(Py_True)) &&
         put("wsgi.file_wrapper", Py_NewRef(reinterpret_cast<PyObject*>(r.file_wrapper_type))) &&
         set(dict, r.server_software, PyRef::steal(latin1(software))) &&
         PyDict_SetItem(dict, r.query_string, r.empty) == 0 &&
         PyDict_SetItem(dict, r.script_name, r.empty) == 0;
}

PyRef EnvironBuilder::build(const Exchange& exchange, const Parts& parts) {
  const Runtime& r = runtime();
  const bool secure = exchange.peer->scheme == "https";
  const TargetParts target = split_target(exchange.request.target());
  const Texts texts = make_texts(exchange, target);
  PyRef environ = texts ? copy_standing(exchange, parts, secure, texts) : PyRef();
  if (!environ) return {};
  PyObject* dict = environ.get();
  const bool done =
      set_texts(dict, texts) && set_errors(dict) &&
      (target.query.empty() || set(dict, r.query_string, query_.make(target.query))) &&
      (!secure || PyDict_SetItem(dict, r.wsgi_url_scheme, r.https) == 0) &&
      PyDict_SetItem(dict, r.wsgi_trailers, parts.trailers) == 0 &&
      set_fields(dict, exchange, target.authority) &&
      (exchange.deadline == SteadyTime() || set_deadline(dict, exchange.deadline)) &&
      (!tells_wait_ || set_wait(dict, exchange)) &&
      (exchange.peer->tls == nullptr || set_tls(dict, *exchange.peer->tls)) &&
      (exchange.peer->forwarded == nullptr || set_forwarded(dict, *exchange.peer->forwarded));
  return done ? std::move(environ) : PyRef();
}

// Up to Python 3.11 a new dict may have garbage collected, by code that gives up the GIL: what
// another worker has made stand meanwhile is not this request's. Nothing else here and up to
// set_errors() can: what stands are `str`s and objects of this room, whose ends run nothing.
PyRef EnvironBuilder::copy_standing(const Exchange& exchange, const Parts& parts, bool secure,
                                    const Texts& texts) {
  for (;;) {
    const auto build = ++builds_;
    if (!set_standing(exchange, parts, secure) || !stand_again(texts)) return {};
    PyRef environ = PyRef::steal(PyDict_Copy(template_.get()));
    if (!environ || build == builds_) return environ;
  }
}

// Another one than at the start is in its copies alone: an application's file, whose end may run
// anything, must not end by being replaced in the template.
bool EnvironBuilder::set_errors(PyObject* environ) const {
  PyObject* errors =
      errors_ ? errors_.get() : PyDict_GetItemWithError(sys_.get(), runtime().standard_error);
  if (errors == nullptr) {
    if (PyErr_Occurred()) return false;
    errors = Py_None;
  }
  return errors == standing_.errors || PyDict_SetItem(environ, runtime().wsgi_errors, errors) == 0;
}

// Most targets are a path and no more: then there is one `str` for all of its keys.
EnvironBuilder::Texts EnvironBuilder::make_texts(const Exchange& exchange,
                                                 const TargetParts& target) {
  const std::string_view whole = exchange.request.target();
  const std::string_view path =
      application_path(exchange, percent_decode(target.path, decoded_path_));
  const bool is_whole = path.data() == whole.data() && path.size() == whole.size();
  Texts texts;
  texts.target = target_.make(whole);
  texts.path = is_whole ? PyRef::borrow(texts.target.get()) : path_.make(path);
  texts.remote_port = remote_port_.make(exchange.peer->remote_port);
  return texts;
}

// In the template, before it is copied. What a worker lends is mostly what it has lent before.
bool EnvironBuilder::set_standing(const Exchange& exchange, const Parts& parts, bool secure) {
  const Runtime& r = runtime();
  const RequestHead& head = exchange.request;
  const PyRef method = method_text(head.method());
  const PyRef address = remote_address_.make(exchange.peer->remote_address);
  return method && address && stand(r.request_method, standing_.method, method.get()) &&
         stand(r.remote_addr, standing_.remote_address, address.get()) &&
         stand(r.server_protocol, standing_.protocol,
               head.version.major == 2             ? r.http_2_0
               : head.version.major == 3           ? r.http_3_0
               : head.version == HttpVersion{1, 1} ? r.http_1_1
                                                   : r.http_1_0) &&
         stand(r.wsgi_input, standing_.input, parts.input) &&
         stand(r.wsgi_early_hints, standing_.early_hints, parts.calls.early_hints()) &&
         stand(r.send_trailers, standing_.send_trailers, parts.calls.send_trailers()) &&
         stand(r.client_departure, standing_.client_departure, parts.client_departure) &&
         stand_local_end(*exchange.peer, secure);
}

bool EnvironBuilder::is_back(PyObject* lent) const {
#ifdef Py_GIL_DISABLED
  return false;  // who else refers to it, no count tells
#else
  const bool stands = lent == standing_.input || lent == standing_.early_hints ||
                      lent == standing_.send_trailers || lent == standing_.client_departure;
  return Py_REFCNT(lent) == (stands ? 2 : 1);
#endif
}

// What was asked for twice in a row stands in the template from then on, in vain if the next one
// asks for another: that is set in its own copy.
bool EnvironBuilder::stand_again(const Texts& texts) {
  const Runtime& r = runtime();
  const bool whole = texts.path.get() == texts.target.get();
  return (!target_.comes_again() ||
          (stand(r.request_uri, standing_.request_uri, texts.target.get()) &&
           stand(r.raw_uri, standing_.raw_uri, texts.target.get()))) &&
         (!(whole ? target_ : path_).comes_again() ||
          stand(r.path_info, standing_.path, texts.path.get())) &&
         (!remote_port_.comes_again() ||
          stand(r.remote_port, standing_.remote_port, texts.remote_port.get()));
}

bool EnvironBuilder::set_texts(PyObject* environ, const Texts& texts) const {
  const Runtime& r = runtime();
  const auto set_unless = [environ](Standing standing, PyObject* key, const PyRef& text) {
    return standing == text.get() || PyDict_SetItem(environ, key, text.get()) == 0;
  };
  return set_unless(standing_.request_uri, r.request_uri, texts.target) &&
         set_unless(standing_.raw_uri, r.raw_uri, texts.target) &&
         set_unless(standing_.path, r.path_info, texts.path) &&
         set_unless(standing_.remote_port, r.remote_port, texts.remote_port);
}

bool EnvironBuilder::stand(PyObject* key, Standing& standing, PyObject* value) {
  if (standing == value) return true;
  standing = nullptr;
  if (PyDict_SetItem(template_.get(), key, value) < 0) return false;
  standing = value;
  return true;
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

bool EnvironBuilder::stand_local_end(const ConnectionInfo& peer, bool secure) {
  if (!local_.name || !local_.number || local_.address != peer.local_address ||
      local_.port != peer.local_port || local_.secure != secure) {
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
  return stand(r.server_name, standing_.server_name, local_.name.get()) &&
         stand(r.server_port, standing_.server_port, local_.number.get());
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
