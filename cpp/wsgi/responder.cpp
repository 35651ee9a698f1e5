#include "wsgi/responder.h"

#include <algorithm>

#include "core/engine.h"
#include "core/response_policy.h"
#include "wsgi/py_ref.h"
#include "wsgi/runtime.h"

namespace prowingen::wsgi {
namespace {

// Below this a copy is cheaper than keeping the object alive until it is sent.
constexpr Py_ssize_t lend_from = 16 * 1024;

std::string shown(std::string_view text) { return "\"" + std::string(text.substr(0, 100)) + "\""; }

bool fail(PyObject* type, const std::string& message) {
  PyRef text = PyRef::steal(
      PyUnicode_DecodeLatin1(message.data(), static_cast<Py_ssize_t>(message.size()), nullptr));
  if (text) PyErr_SetObject(type, text.get());
  return false;
}

bool text_of(PyObject* object, const char* what, std::string_view& out) {
  if (!PyUnicode_Check(object)) {
    PyErr_Format(PyExc_TypeError, "start_response: %s must be str, not %.100s", what,
                 Py_TYPE(object)->tp_name);
    return false;
  }
#if PY_VERSION_HEX < 0x030C0000
  if (PyUnicode_READY(object) < 0) return false;
#endif
  if (latin1_bytes(object, out)) return true;
  PyErr_Format(PyExc_ValueError,
               "start_response: %s %R has a character that is not in latin-1 (PEP 3333)", what,
               object);
  return false;
}

bool reraise(PyObject* exc_info) {
  PyObject* type;
  PyObject* value;
  PyObject* traceback;
  if (!PyArg_ParseTuple(exc_info, "OOO", &type, &value, &traceback)) return false;
  PyErr_Restore(Py_NewRef(type), Py_NewRef(value),
                traceback == Py_None ? nullptr : Py_NewRef(traceback));
  return false;
}

}  // namespace

bool Responder::start(PyObject* status, PyObject* headers, PyObject* exc_info) {
  if (exc_info != nullptr && exc_info != Py_None) {
    if (!PyTuple_Check(exc_info)) {
      return fail(PyExc_TypeError, "start_response: exc_info must be a tuple of sys.exc_info()");
    }
    if (head_sent_) return reraise(exc_info);
  } else if (started_) {
    return fail(PyExc_AssertionError,
                "start_response: called a second time without exc_info (PEP 3333)");
  }
  if (!PyList_Check(headers)) {
    PyErr_Format(PyExc_TypeError, "start_response: headers must be a list, not %.100s",
                 Py_TYPE(headers)->tp_name);
    return false;
  }
  exchange_.response.clear();
  declared_.reset();
  started_ = false;
  if (!set_status(status)) return false;
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(headers); ++i) {
    if (!add_field(PyList_GET_ITEM(headers, i))) return false;
  }
  body_allowed_ = response_has_content(exchange_.request.method(), exchange_.response.status);
  started_ = true;
  return true;
}

bool Responder::set_status(PyObject* status) {
  std::string_view text;
  if (!text_of(status, "status", text)) return false;
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  const bool numbered = text.size() >= 3 && digit(text[0]) && digit(text[1]) && digit(text[2]);
  if (!numbered || (text.size() > 3 && text[3] != ' ') || text[0] < '2') {
    return fail(PyExc_ValueError, "start_response: status " + shown(text) +
                                      " must be three digits from 200 on, a space and a reason");
  }
  const auto reason = text.size() > 4 ? text.substr(4) : std::string_view();
  if (!is_field_value(reason)) {
    return fail(PyExc_ValueError,
                "start_response: status " + shown(text) + " has a control character");
  }
  exchange_.response.status = (text[0] - '0') * 100 + (text[1] - '0') * 10 + (text[2] - '0');
  exchange_.response.reason = reason;
  return true;
}

bool Responder::add_field(PyObject* item) {
  if (!PyTuple_Check(item) || PyTuple_GET_SIZE(item) != 2) {
    PyErr_Format(PyExc_TypeError, "start_response: each header must be a (name, value) tuple: %R",
                 item);
    return false;
  }
  std::string_view name;
  std::string_view value;
  if (!text_of(PyTuple_GET_ITEM(item, 0), "header name", name) ||
      !text_of(PyTuple_GET_ITEM(item, 1), "header value", value)) {
    return false;
  }
  if (!is_token(name)) {
    return fail(PyExc_ValueError,
                "start_response: header name " + shown(name) + " is not a token (RFC 9110 5.1)");
  }
  if (!is_field_value(value)) {
    return fail(PyExc_ValueError, "start_response: the value of header " + shown(name) +
                                      " has a control character (RFC 9110 5.5)");
  }
  switch (classify_response_field(name)) {
    case ResponseField::hop_by_hop:
      return fail(PyExc_AssertionError,
                  "start_response: header " + shown(name) +
                      " is hop-by-hop: only the server may set it (PEP 3333)");
    case ResponseField::content_length: {
      const auto length = parse_content_length(value);
      if (!length || (declared_ && *declared_ != *length)) {
        return fail(PyExc_ValueError,
                    "start_response: Content-Length " + shown(value) +
                        (length ? " contradicts an earlier one" : " is not a decimal number"));
      }
      if (declared_) return true;  // the same again: once is enough
      declared_ = length;
      // Forbidden in a 204 (RFC 9110 section 8.6), where it would mean nothing.
      if (exchange_.response.status == 204) return true;
      break;
    }
    case ResponseField::date: exchange_.response.has_date = true; break;
    case ResponseField::server: exchange_.response.has_server = true; break;
    case ResponseField::other: break;
  }
  exchange_.response.add_field(name, value);
  return true;
}

void Responder::settle_head() {
  ResponseBody& body = exchange_.response_body;
  body.allowed = body_allowed_;
  if (declared_) {
    body.length_known = true;
    body.length = *declared_;
  } else if (total_) {
    body.length_known = true;
    body.length = *total_;
    const int status = exchange_.response.status;
    body.add_length_field = status != 204 && status != 304;
  }
  head_sent_ = true;
}

bool Responder::write(PyObject* bytes, bool last) {
  if (!PyBytes_Check(bytes)) {
    PyErr_Format(PyExc_TypeError, "the response body must be bytes, not %.100s",
                 Py_TYPE(bytes)->tp_name);
    return false;
  }
  if (!started_) {
    return fail(PyExc_AssertionError,
                "the application gave a body before it called start_response");
  }
  if (finished_) return fail(PyExc_ValueError, "write() called after the end of the body");
  auto size = static_cast<std::uint64_t>(PyBytes_GET_SIZE(bytes));
  if (size == 0 && !last) return true;  // headers wait for the first byte (PEP 3333)
  if (!body_allowed_) {
    sent_ += size;
    return last ? push({}, true) : true;
  }
  if (bound() && sent_ + size > *bound()) {
    if (complaint_.empty()) {
      complaint_ = "the body is longer than its Content-Length of " + std::to_string(*bound()) +
                   " bytes; the rest was cut off";
    }
    size = *bound() - sent_;
    if (size == 0 && !last) return true;
  }
  if (last && bound() && sent_ + size < *bound()) return write(bytes, false) && finish();
  sent_ += size;
  const std::string_view view(PyBytes_AS_STRING(bytes), static_cast<std::size_t>(size));
  // A subclass could have given its memory a life of its own.
  if (view.size() < lend_from || !PyBytes_CheckExact(bytes))
    return push(Chunk(std::string(view)), last);
  BorrowedBytes lent = drop_list_.lend(bytes);
  lent.remove_suffix(lent.view().size() - view.size());
  return push(Chunk(std::move(lent)), last);
}

bool Responder::write_file(FileRange range) {
  if (declared_) range.length = std::min(range.length, *declared_);
  total_ = range.length;
  sent_ += range.length;
  if (!body_allowed_) return push({}, true);
  if (declared_ && sent_ < *declared_) {
    return push(Chunk(std::move(range)), false) && finish();
  }
  return push(Chunk(std::move(range)), true);
}

bool Responder::finish() {
  if (finished_) return true;
  if (!started_) {
    return fail(PyExc_AssertionError, "the application returned without calling start_response");
  }
  if (body_allowed_ && bound() && sent_ < *bound()) {
    complaint_ = "the body is " + std::to_string(*bound() - sent_) +
                 " bytes shorter than its Content-Length of " + std::to_string(*bound()) +
                 "; the connection was closed";
    if (!head_sent_ && !push({}, false)) return false;
    exchange_.abort();
    finished_ = true;
    return true;
  }
  if (!head_sent_ && !total_) total_ = sent_;
  return push({}, true);
}

bool Responder::push(Chunk chunk, bool last) {
  // The application may call write() on a thread of its own and return meanwhile: then this object
  // is gone when the wait is over.
  const auto exchange = exchange_.shared_from_this();
  if (!head_sent_) settle_head();
  bool more_soon = false;
  if (last) {
    finished_ = true;
    more_soon = worker_.queue.more_queued();
  }
  const auto outcome = exchange_.push(std::move(chunk), high_water_, last, more_soon);
  // The tick sees to answers that wait for more; this order of looking cannot miss its sleep.
  if (more_soon && worker_.queue.tick_sleeps()) exchange_.flush();
  switch (outcome) {
    case Exchange::Push::ok: return true;
    case Exchange::Push::full:
      if (without_gil(&worker_, [&] { return exchange->wait_writable(); })) return true;
      break;
    case Exchange::Push::departed: break;
  }
  raise_departed(*exchange);
  return false;
}

void Responder::answer_plainly(int status, std::string_view page) {
  exchange_.response.clear();
  exchange_.response.status = status;
  exchange_.response.reason = reason_phrase(status);
  exchange_.response.add_field("Content-Type", "text/plain; charset=utf-8");
  declared_.reset();
  body_allowed_ = response_has_content(exchange_.request.method(), status);
  total_ = page.size();
  started_ = true;
  if (!push(body_allowed_ ? Chunk(std::string(page)) : Chunk(), true)) PyErr_Clear();
}

}  // namespace prowingen::wsgi
