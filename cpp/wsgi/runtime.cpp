#include "wsgi/runtime.h"

#include <string>
#include <utility>

#include "wsgi/answer_calls.h"
#include "wsgi/binary_stream.h"
#include "wsgi/client_disconnected.h"
#include "wsgi/file_wrapper.h"
#include "wsgi/input.h"
#include "wsgi/opaque_stream.h"
#include "wsgi/opaque_upgrade.h"
#include "wsgi/py_ref.h"
#include "wsgi/start_response.h"
#include "wsgi/websocket_accept.h"

namespace prowingen::wsgi {
namespace {

// Lives until the process ends, like the extension module it belongs to: types and interned
// strings cannot be freed while an object of an application may still refer to them.
Runtime& instance() {
  static Runtime runtime;
  return runtime;
}

}  // namespace

const Runtime& runtime() { return instance(); }

bool init_runtime(PyObject* module) {
  Runtime& r = instance();
  const std::pair<PyObject**, const char*> names[] = {
      {&r.request_method, "REQUEST_METHOD"},
      {&r.script_name, "SCRIPT_NAME"},
      {&r.path_info, "PATH_INFO"},
      {&r.query_string, "QUERY_STRING"},
      {&r.request_uri, "REQUEST_URI"},
      {&r.raw_uri, "RAW_URI"},
      {&r.server_name, "SERVER_NAME"},
      {&r.server_port, "SERVER_PORT"},
      {&r.server_protocol, "SERVER_PROTOCOL"},
      {&r.server_software, "SERVER_SOFTWARE"},
      {&r.remote_addr, "REMOTE_ADDR"},
      {&r.remote_port, "REMOTE_PORT"},
      {&r.http_host, "HTTP_HOST"},
      {&r.http_cookie, "HTTP_COOKIE"},
      {&r.wsgi_input, "wsgi.input"},
      {&r.wsgi_errors, "wsgi.errors"},
      {&r.wsgi_trailers, "wsgi.trailers"},
      {&r.wsgi_early_hints, "wsgi.early_hints"},
      {&r.send_trailers, "prowingen.send_trailers"},
      {&r.deadline, "prowingen.deadline"},
      {&r.client_departure, "prowingen.client_disconnected"},
      {&r.queue_time, "prowingen.queue_time"},
      {&r.opaque_upgrade, "opaque.upgrade"},
      {&r.wsgi_url_scheme, "wsgi.url_scheme"},
      {&r.empty, ""},
      {&r.https, "https"},
      {&r.http_1_0, "HTTP/1.0"},
      {&r.http_1_1, "HTTP/1.1"},
      {&r.http_2_0, "HTTP/2.0"},
      {&r.http_3_0, "HTTP/3.0"},
      {&r.get, "GET"},
      {&r.head, "HEAD"},
      {&r.post, "POST"},
      {&r.close, "close"},
      {&r.read, "read"},
      {&r.fileno, "fileno"},
      {&r.tell, "tell"},
      {&r.raw, "raw"},
      {&r.readinto, "readinto"},
      {&r.readable, "readable"},
      {&r.flush, "flush"},
      {&r.instance_dict, "__dict__"},
      {&r.underscores, "__"},
      {&r.standard_error, "stderr"},
  };
  for (const auto& [place, text] : names) {
    *place = PyUnicode_InternFromString(text);
    if (*place == nullptr) return false;
  }
  const PyRef io = PyRef::steal(PyImport_ImportModule("io"));
  if (!io) return false;
  const std::pair<PyObject**, const char*> io_types[] = {
      {&r.file_io, "FileIO"},
      {&r.buffered_io_base, "BufferedIOBase"},
      {&r.unsupported_operation, "UnsupportedOperation"},
      {&r.buffered_reader, "BufferedReader"},
      {&r.buffered_random, "BufferedRandom"},
  };
  for (const auto& [place, name] : io_types) {
    *place = PyObject_GetAttrString(io.get(), name);
    if (*place == nullptr) return false;
  }
  r.client_disconnected = PyErr_NewExceptionWithDoc(
      "prowingen_wsgi.ClientDisconnected",
      "The client is gone: nothing more of its request can be read, nothing more of the answer\n"
      "written. Raised by wsgi.input and by the write() callable of PEP 3333; need not be caught.",
      PyExc_ConnectionAbortedError, nullptr);
  if (r.client_disconnected == nullptr) return false;
  r.connection_closed = PyErr_NewExceptionWithDoc(
      "prowingen_wsgi._native.ConnectionClosed",
      "The WebSocket is closed: nothing more comes, and nothing more is sent. `code` and `reason`\n"
      "are those of its close (RFC 6455 section 7.1). Need not be caught.",
      r.client_disconnected, nullptr);
  r.handshake_error = PyErr_NewExceptionWithDoc(
      "prowingen_wsgi._native.HandshakeError",
      "The request's handshake is none that can be accepted, or it has none. `status` is what its\n"
      "client is answered (RFC 6455 section 4.2). Need not be caught.",
      PyExc_ConnectionAbortedError, nullptr);
  r.request_timeout = PyErr_NewExceptionWithDoc(
      "prowingen_wsgi.RequestTimeout",
      "The request has taken nearly as long as it may. Raised wherever the application is, by the\n"
      "option request_timeout_raise; who does not catch it has its client answered 504.",
      PyExc_Exception, nullptr);
  const std::pair<const char*, PyObject*> errors[] = {
      {"ClientDisconnected", r.client_disconnected},
      {"RequestTimeout", r.request_timeout},
      {"ConnectionClosed", r.connection_closed},
      {"HandshakeError", r.handshake_error},
  };
  for (const auto& [name, error] : errors) {
    if (error == nullptr || PyModule_AddObjectRef(module, name, error) < 0) return false;
  }
  r.input_type = make_input_type();
  r.start_response_type = make_start_response_type();
  r.write_type = make_write_type();
  r.answer_call_type = make_answer_call_type();
  r.file_wrapper_type = make_file_wrapper_type();
  return init_opaque_types(module) && init_upgrade_type(module) && init_websocket_accept(module) &&
         init_client_disconnected(module) && r.input_type != nullptr &&
         register_binary_stream(r.input_type) && PyModule_AddType(module, r.input_type) == 0 &&
         r.start_response_type != nullptr && r.write_type != nullptr &&
         r.answer_call_type != nullptr && r.file_wrapper_type != nullptr;
}

void raise_departed(const Exchange& exchange) {
  const std::string message(describe(exchange.departure()));
  PyErr_SetString(runtime().client_disconnected, message.c_str());
}

}  // namespace prowingen::wsgi
