// What the adapter keeps for the life of the interpreter: its types, interned names, and the
// exception that tells an application its client is gone.
#pragma once

#include <Python.h>

#include <string_view>

#include "core/exchange.h"

namespace prowingen::wsgi {

struct Runtime {
  // types of the adapter's objects
  PyTypeObject* input_type = nullptr;
  PyTypeObject* start_response_type = nullptr;
  PyTypeObject* write_type = nullptr;
  PyTypeObject* answer_call_type = nullptr;
  PyTypeObject* file_wrapper_type = nullptr;
  PyObject* file_io = nullptr;                // io.FileIO
  PyObject* buffered_io_base = nullptr;       // io.BufferedIOBase
  PyObject* buffered_reader = nullptr;        // io.BufferedReader
  PyObject* buffered_random = nullptr;        // io.BufferedRandom
  PyObject* unsupported_operation = nullptr;  // io.UnsupportedOperation
  PyObject* client_disconnected = nullptr;    // prowingen_wsgi.ClientDisconnected
  PyObject* request_timeout = nullptr;        // prowingen_wsgi.RequestTimeout
  PyObject* connection_closed = nullptr;      // prowingen_wsgi.websocket.ConnectionClosed
  PyObject* handshake_error = nullptr;        // prowingen_wsgi.websocket.HandshakeError

  // environ keys and other interned strings
  PyObject* request_method;
  PyObject* script_name;
  PyObject* path_info;
  PyObject* query_string;
  PyObject* request_uri;
  PyObject* raw_uri;
  PyObject* server_name;
  PyObject* server_port;
  PyObject* server_protocol;
  PyObject* server_software;
  PyObject* remote_addr;
  PyObject* remote_port;
  PyObject* http_host;
  PyObject* http_cookie;
  PyObject* wsgi_input;
  PyObject* wsgi_errors;
  PyObject* wsgi_trailers;
  PyObject* wsgi_early_hints;
  PyObject* send_trailers;
  PyObject* deadline;
  PyObject* client_departure;
  PyObject* queue_time;
  PyObject* opaque_upgrade;
  PyObject* wsgi_url_scheme;
  PyObject* empty;
  PyObject* https;
  PyObject* http_1_0;
  PyObject* http_1_1;
  PyObject* http_2_0;
  PyObject* http_3_0;
  PyObject* get;
  PyObject* head;
  PyObject* post;
  PyObject* close;
  PyObject* read;
  PyObject* fileno;
  PyObject* tell;
  PyObject* raw;
  PyObject* readinto;
  PyObject* readable;
  PyObject* flush;
  PyObject* instance_dict;
  PyObject* underscores;
  PyObject* standard_error;
};

/// Makes the types and names, once, with the GIL. Throws pybind-free: false with an error set.
bool init_runtime(PyObject* module);

/// After init_runtime().
const Runtime& runtime();

/// A `str` with one character for each byte (PEP 3333 "Unicode Issues").
inline PyObject* latin1(std::string_view bytes) {
  return PyUnicode_DecodeLatin1(bytes.data(), static_cast<Py_ssize_t>(bytes.size()), nullptr);
}

/// The bytes of a `str` whose characters are all latin-1, or false.
inline bool latin1_bytes(PyObject* text, std::string_view& out) {
  if (PyUnicode_KIND(text) != PyUnicode_1BYTE_KIND) return false;
  out = {reinterpret_cast<const char*>(PyUnicode_1BYTE_DATA(text)),
         static_cast<std::size_t>(PyUnicode_GET_LENGTH(text))};
  return true;
}

/// Raises ClientDisconnected with the exchange's reason.
void raise_departed(const Exchange& exchange);

}  // namespace prowingen::wsgi
