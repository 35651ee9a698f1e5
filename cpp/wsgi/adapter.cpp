#include "wsgi/adapter.h"

#include "wsgi/forked_child.h"
#include "wsgi/runtime.h"

namespace prowingen::wsgi {
namespace {

constexpr std::string_view error_page = "Internal Server Error\n";
constexpr std::string_view timeout_page = "The application has not answered in time\n";
constexpr std::string_view websocket_page = "There is a WebSocket here, and nothing else\n";

}  // namespace

std::string request_line(const Exchange& exchange) { return request_line_of(exchange.request); }

void handle_failure(Responder& responder, const ReportError& report) {
  Exchange& exchange = responder.exchange();
  leave_if_forked(exchange);
  if (responder.answered_otherwise()) {
    // With these, applications tell other servers that there is no answer but the one they wrote.
    const bool usual = PyErr_ExceptionMatches(PyExc_StopIteration) != 0 ||
                       PyErr_ExceptionMatches(PyExc_ConnectionError) != 0;
    usual ? PyErr_Clear() : report(Severity::error, request_line(exchange));
    return;
  }
  if (PyErr_ExceptionMatches(runtime().handshake_error) && !responder.head_sent()) {
    // A WebSocket was to be accepted where none was asked for.
    PyErr_Clear();
    return responder.answer_plainly(426, websocket_page);
  }
  if (PyErr_ExceptionMatches(runtime().client_disconnected)) {
    // Nobody's mistake; the iterable is still closed.
    PyErr_Clear();
    report(Severity::debug,
           request_line(exchange) + ": " + std::string(describe(exchange.departure())));
    if (responder.finished()) return;
    if (exchange.state() != ExchangeState::departed) exchange.abort();
    return;
  }
  const bool timed_out = PyErr_ExceptionMatches(runtime().request_timeout) != 0;
  report(Severity::error, request_line(exchange));
  if (responder.finished()) return;
  if (!responder.head_sent()) {
    timed_out ? responder.answer_plainly(504, timeout_page)
              : responder.answer_plainly(500, error_page);
  } else if (!responder.sent_all() || responder.switches()) {
    exchange.abort();
  } else if (!responder.finish()) {
    PyErr_Clear();  // of a client that left
  }
}

}  // namespace prowingen::wsgi
