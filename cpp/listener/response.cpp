#include "listener/response.h"

#include <algorithm>
#include <string_view>

#include "http/response_policy.h"
#include "listener/request.h"
#include "wsgi/forked_child.h"
#include "wsgi/input.h"
#include "wsgi/opaque_stream.h"
#include "wsgi/opaque_upgrade.h"
#include "wsgi/runtime.h"
#include "wsgi/websocket_accept.h"
#include "wsgi/worker.h"

namespace prowingen::listener {
namespace {

// Small pieces gather up to this: about what one TLS record or a few network packets take.
constexpr std::size_t gather_up_to = 16 * 1024;

bool fail_with(PyObject* type, const std::string& message) {
  const PyRef text = PyRef::steal(wsgi::latin1(message));
  if (text) PyErr_SetObject(type, text.get());
  return false;
}

}  // namespace

struct Response::Upgrade {
  Upgrade(Response& response, std::shared_ptr<Exchange> kept, WorkQueue& queue,
          wsgi::DropList& drop_list, const wsgi::AnswerRules& rules,
          websocket::Sessions& websockets)
      : exchange(std::move(kept)),
        call{response.responder_,    exchange,         queue,
             rules.high_water,       drop_list,        websockets,
             response.server_.get(), response.report_, wsgi::Worker::current()} {
    call.calls_back = false;
  }

  const std::shared_ptr<Exchange> exchange;
  wsgi::Upgradable call;
  PyRef object;  // that acts on it
};

Response::Response(std::shared_ptr<Exchange> exchange, WorkQueue& queue, wsgi::DropList& drop_list,
                   wsgi::LeftOutFields& left_out, const wsgi::AnswerRules& rules,
                   const wsgi::ReportError& report, PyRef request, PyRef server)
    : server_(std::move(server)),
      responder_(std::move(exchange), queue, drop_list, left_out, rules),
      report_(report),
      request_(std::move(request)) {}

Response::~Response() {
  if (upgrade_) wsgi::take_callback(upgrade_->object.get());
  if (is_upgraded()) return;
  if (phase_ != Phase::deferred || responder_.exchange().birthplace.is_parent()) return;
  // Nobody can end it any more. It may be dropped in the middle of an exception.
  PyObject* type;
  PyObject* value;
  PyObject* traceback;
  PyErr_Fetch(&type, &value, &traceback);
  PyErr_SetString(PyExc_RuntimeError,
                  "a deferred response was dropped before it was closed: call response.close()");
  fail();
  PyErr_Restore(type, value, traceback);
}

bool Response::offer_upgrade(std::shared_ptr<Exchange> exchange, WorkQueue& queue,
                             wsgi::DropList& drop_list, const wsgi::AnswerRules& rules,
                             websocket::Sessions& websockets) {
  upgrade_ =
      std::make_unique<Upgrade>(*this, std::move(exchange), queue, drop_list, rules, websockets);
  upgrade_->object = wsgi::make_upgrade_call(upgrade_->call);
  if (!upgrade_->object) {
    upgrade_.reset();
    return false;
  }
  set_upgrade(request_.get(), PyRef::borrow(upgrade_->object.get()));
  return true;
}

bool Response::head_is_open() const {
  if (!check_open()) return false;
  return !responder_.head_sent() ||
         fail_with(PyExc_ValueError, "the head of the response has been sent");
}

bool Response::set_field(std::string_view name, std::string_view value, bool replace) {
  if (!head_is_open()) return false;
  if (const auto fault = check_response_field(classify_response_field(name), name, value)) {
    return fail_with(PyExc_ValueError, "response: " + describe(*fault, name, value));
  }
  if (replace) {
    std::erase_if(fields, [&](const Field& f) { return equals_ignoring_case(f.first, name); });
  }
  fields.emplace_back(name, value);
  return true;
}

bool Response::remove_field(std::string_view name) {
  if (!head_is_open()) return false;
  const auto removed =
      std::erase_if(fields, [&](const Field& f) { return equals_ignoring_case(f.first, name); });
  return removed != 0 || fail_with(PyExc_KeyError, std::string(name));
}

bool Response::is_open() {
  wsgi::leave_if_forked(responder_.exchange());
  if (phase_ == Phase::closed || !responder_.exchange().client_waits()) return false;
  if (responder_.look_for_client()) return true;
  PyErr_Clear();
  return false;
}

bool Response::check_open() const {
  wsgi::leave_if_forked(responder_.exchange());
  if (is_upgraded()) {
    return fail_with(PyExc_ValueError,
                     "the request was upgraded: what is written to is its stream or WebSocket");
  }
  return takes_output() || fail_with(PyExc_ValueError, "the response is closed");
}

bool Response::check_idle() const {
  return !busy_ || fail_with(PyExc_RuntimeError, "response: written by two threads at once");
}

bool Response::begin_output() const { return check_open() && check_idle(); }

bool Response::settle_head() {
  if (responder_.started()) return true;
  if (responder_.is_switch(status)) {
    return fail_with(PyExc_ValueError,
                     "response: a CONNECT is answered so by request.upgrade.stream() alone");
  }
  responder_.begin(status, reason.empty() ? reason_phrase(status) : std::string_view(reason));
  for (const auto& [name, value] : fields) {
    if (const auto fault = responder_.add_field(name, value)) {
      return fail_with(PyExc_ValueError, "response: " + describe(*fault, name, value));
    }
  }
  responder_.end_head();
  return true;
}

Py_ssize_t Response::write(PyObject* data) {
  if (!begin_output()) return -1;
  // Whatever else has a buffer is copied, since its owner may change it.
  PyRef bytes = PyBytes_CheckExact(data) ? PyRef::borrow(data) : PyRef();
  if (!bytes) {
    if (!PyObject_CheckBuffer(data)) {
      PyErr_Format(PyExc_TypeError, "response.body.write: bytes are needed, not %.100s",
                   Py_TYPE(data)->tp_name);
      return -1;
    }
    bytes = PyRef::steal(PyBytes_FromObject(data));
    if (!bytes) return -1;
  }
  const Py_ssize_t size = PyBytes_GET_SIZE(bytes.get());
  if (size == 0) return responder_.look_for_client() ? 0 : -1;
  if (!held_ && gathered_.empty()) {
    held_ = std::move(bytes);
    return size;
  }
  const auto held = held_ ? static_cast<std::size_t>(PyBytes_GET_SIZE(held_.get())) : 0;
  if (held + gathered_.size() + static_cast<std::size_t>(size) > gather_up_to) {
    if (!send_held(false)) return -1;
    held_ = std::move(bytes);
    return size;
  }
  if (!responder_.look_for_client()) return -1;  // it is not sent yet
  if (held_) gathered_.assign(PyBytes_AS_STRING(held_.get()), held);
  held_ = PyRef();
  gathered_.append(PyBytes_AS_STRING(bytes.get()), static_cast<std::size_t>(size));
  return size;
}

bool Response::send_held(bool last) {
  if (!settle_head()) return false;
  PyRef bytes = std::move(held_);
  if (!bytes) {
    bytes = PyRef::steal(
        PyBytes_FromStringAndSize(gathered_.data(), static_cast<Py_ssize_t>(gathered_.size())));
    if (!bytes) return false;
    gathered_.clear();
  }
  if (last && !responder_.head_sent()) {
    responder_.set_total(static_cast<std::uint64_t>(PyBytes_GET_SIZE(bytes.get())));
  }
  busy_ = true;
  const bool sent = responder_.write(bytes.get(), last);
  busy_ = false;
  if (sent && !last && !responder_.complaint().empty()) {
    return fail_with(PyExc_ValueError, "response: " + responder_.complaint());
  }
  return sent;
}

bool Response::flush() {
  if (!begin_output()) return false;
  if (held_ || !gathered_.empty()) return send_held(false);
  if (!settle_head()) return false;
  busy_ = true;
  const bool sent = responder_.send_head();
  busy_ = false;
  return sent;
}

bool Response::finish() {
  if (responder_.finished()) return true;
  return (held_ || !gathered_.empty() ? send_held(true) : settle_head()) && responder_.finish();
}

bool Response::close() {
  if (phase_ == Phase::closed || is_upgraded()) return true;
  if (!check_idle()) return false;
  if (!finish()) {
    if (!PyErr_ExceptionMatches(wsgi::runtime().client_disconnected)) return false;
    wsgi::handle_failure(responder_, report_);  // it has ended, if not as it should
  }
  end();
  return true;
}

bool Response::close_body() {
  if (phase_ == Phase::deferred) return close();
  if (!check_idle()) return false;
  if (phase_ == Phase::handling) phase_ = Phase::written;
  return true;
}

void Response::leave_body(PyObject* exception) {
  if (phase_ != Phase::deferred) return;  // the handler's end tells
  PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(exception)), exception);
  fail();
}

bool Response::defer() {
  const bool still_handled = is_upgraded() && takes_output();
  if (!still_handled && !check_open()) return false;
  phase_ = Phase::deferred;
  return true;
}

// What follows the answer has an owner of its own if the response was deferred.
void Response::leave_upgraded(bool failed) {
  if (failed) wsgi::handle_failure(responder_, report_);
  const wsgi::Upgradable& call = upgrade_->call;
  if (failed || phase_ != Phase::deferred) {
    if (call.websocket) wsgi::end_websocket(call, nullptr, failed);
    if (call.stream) wsgi::end_opaque_stream(call.stream.get(), failed);
  } else if (call.owns_websocket) {
    call.websocket->leave_to_user();
  }
  end();
}

void Response::handler_returned() {
  if (upgrade_) {
    upgrade_->call.await_users();
    upgrade_->call.worker = nullptr;  // which goes on to others
    if (is_upgraded()) return leave_upgraded(PyErr_Occurred() != nullptr);
    upgrade_->call.outlives_application = phase_ == Phase::deferred;
  }
  if (PyErr_Occurred() != nullptr) {
    if (phase_ != Phase::closed) return fail();
    return wsgi::handle_failure(responder_, report_);  // for the log only
  }
  if (phase_ == Phase::deferred || phase_ == Phase::closed) return;
  if (busy_) {
    PyErr_SetString(PyExc_RuntimeError,
                    "the handler returned while another thread writes its response: it must call "
                    "response.defer()");
    return fail();
  }
  if (!close()) fail();
}

void Response::fail() {
  wsgi::handle_failure(responder_, report_);
  end();
}

void Response::end() {
  const auto& complaint = responder_.complaint();
  if (!complaint.empty()) {
    report_(Severity::error, wsgi::request_line(responder_.exchange()) + ": " + complaint);
  }
  phase_ = Phase::closed;
  if (const PyRef body = opened_body(request_.get())) wsgi::detach_input(body.get());
  held_ = PyRef();
  gathered_.clear();
  request_ = PyRef();
  if (!upgrade_) return;
  wsgi::take_callback(upgrade_->object.get());
  upgrade_->call.stream = PyRef();
}

}  // namespace prowingen::listener
