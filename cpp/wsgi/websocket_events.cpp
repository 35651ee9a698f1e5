#include "wsgi/websocket_events.h"

#include <chrono>
#include <string>

#include "wsgi/forked_child.h"
#include "wsgi/runtime.h"
#include "wsgi/timeouts.h"
#include "wsgi/websocket_object.h"

namespace prowingen::wsgi {
namespace {

using websocket::Close;
using websocket::Session;

// A connection that always has a message lets others have a turn.
constexpr int messages_in_a_row = 32;

PyRef arguments_of(PyObject* websocket, PyRef second) {
  return second ? PyRef::steal(PyTuple_Pack(2, websocket, second.get())) : PyRef();
}

PyRef closing_arguments(PyObject* websocket, const Close& close) {
  const PyRef reason = utf8_text(close.reason);
  return reason ? PyRef::steal(Py_BuildValue("(OiO)", websocket, close.code, reason.get()))
                : PyRef();
}

}  // namespace

WebSocketEvents::WebSocketEvents(std::shared_ptr<Session> session, WebSocketCallbacks callbacks,
                                 PyRef websocket, WorkQueue& queue, DropList& drop_list,
                                 const ReportError& report)
    : session_(std::move(session)),
      queue_(queue),
      report_(report),
      websocket_(drop_list, std::move(websocket)),
      on_open_(drop_list, std::move(callbacks.on_open)),
      on_message_(drop_list, std::move(callbacks.on_message)),
      on_close_(drop_list, std::move(callbacks.on_close)) {}

void WebSocketEvents::on_news() { queue_.submit_again(session_->exchange()); }

void WebSocketEvents::abandon() {
  on_open_.drop();
  on_message_.drop();
  on_close_.drop();
  websocket_.drop();
}

void WebSocketEvents::run() {
  const auto exchange = session_->exchange();
  leave_if_forked(*exchange);
  if (!std::exchange(opened_, true)) {
    call(on_open_, PyRef::steal(PyTuple_Pack(1, websocket_.get())), "on_open");
  }
  for (int i = 0; i < messages_in_a_row; ++i) {
    websocket::Message message;
    switch (session_->receive(message, at_once)) {
      case Session::Received::timed_out: return;
      case Session::Received::message:
        call(on_message_, arguments_of(websocket_.get(), message_object(message)), "on_message");
        break;
      case Session::Received::closed:
        call(on_close_, closing_arguments(websocket_.get(), session_->closed_by()), "on_close");
        abandon();
        return exchange->events.reset();  // they know each other
    }
  }
  on_news();
}

// What goes wrong in it is the connection's end, and nobody else's.
void WebSocketEvents::call(const Keep& callback, PyRef arguments, const char* name) {
  if (arguments && (callback.get() == nullptr || callback.get() == Py_None)) return;
  const auto& exchange = *session_->exchange();
  const PyRef result =
      arguments ? PyRef::steal(PyObject_CallObject(callback.get(), arguments.get())) : PyRef();
  leave_if_forked(exchange);
  if (result) return;
  // Of another WebSocket it would be a mistake, by which others are left out.
  const bool own = PyErr_ExceptionMatches(runtime().client_disconnected) != 0;
  if (own && !session_->is_open()) return PyErr_Clear();
  report_(Severity::error, request_line(exchange) + ": " + name + " failed");
  session_->close({websocket::close_code::internal_error, {}}, true);
}

}  // namespace prowingen::wsgi
