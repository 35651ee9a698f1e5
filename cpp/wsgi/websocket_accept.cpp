#include "wsgi/websocket_accept.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <system_error>
#include <vector>

#include "websocket/handshake.h"
#include "wsgi/field_list.h"
#include "wsgi/forked_child.h"
#include "wsgi/runtime.h"
#include "wsgi/websocket_events.h"
#include "wsgi/websocket_object.h"

namespace prowingen::wsgi {
namespace {

constexpr const char* caller = "accept";

/// What accept_websocket() is called with.
struct Wishes {
  websocket::Offer offer;
  websocket::Rules rules;
  PyObject* fields = nullptr;
  WebSocketCallbacks callbacks;
  bool evented = false;
};

bool texts(PyObject* sequence, const char* what, std::vector<std::string>& out) {
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(sequence); ++i) {
    std::string_view text;
    if (!text_of(caller, PyTuple_GET_ITEM(sequence, i), what, text)) return false;
    out.emplace_back(text);
  }
  return true;
}

std::chrono::nanoseconds seconds(double value) {
  constexpr double most = 1e9;  // more would overflow a clock
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
      std::chrono::duration<double>(std::clamp(value, 0.0, most)));
}

PyRef callback(PyObject* given) { return PyRef::borrow(given); }

// The Python side has checked types and ranges.
bool parse(PyObject* args, PyObject* named, PyObject*& upgrade, Wishes& wishes) {
  static const char* names[] = {"upgrade",       "subprotocols",  "origins",       "same_origin",
                                "fields",        "max_message",   "max_queue",     "wait",
                                "ping_interval", "ping_timeout",  "close_timeout", "compress",
                                "server_window", "client_window", "server_keeps",  "client_keeps",
                                "on_open",       "on_message",    "on_close",      nullptr};
  PyObject* subprotocols;
  PyObject* origins;
  PyObject* on_open;
  PyObject* on_message;
  PyObject* on_close;
  unsigned long long max_message;
  unsigned long long max_queue;
  int same_origin;
  int wait;
  int compress;
  int server_keeps;
  int client_keeps;
  double ping_interval;
  double ping_timeout;
  double close_timeout;
  auto& compression = wishes.offer.compression;
  if (!PyArg_ParseTupleAndKeywords(
          args, named, "OO!O!pO!KKpdddpiippOOO:accept_websocket", const_cast<char**>(names),
          &upgrade, &PyTuple_Type, &subprotocols, &PyTuple_Type, &origins, &same_origin,
          &PyList_Type, &wishes.fields, &max_message, &max_queue, &wait, &ping_interval,
          &ping_timeout, &close_timeout, &compress, &compression.server_window,
          &compression.client_window, &server_keeps, &client_keeps, &on_open, &on_message,
          &on_close)) {
    return false;
  }
  wishes.offer.same_origin = same_origin != 0;
  wishes.offer.compress = compress != 0;
  compression.server_keeps = server_keeps != 0;
  compression.client_keeps = client_keeps != 0;
  wishes.rules.max_message = static_cast<std::size_t>(max_message);
  wishes.rules.max_queue = static_cast<std::size_t>(max_queue);
  wishes.rules.waits = wait != 0;
  wishes.rules.ping_interval = seconds(ping_interval);
  wishes.rules.ping_timeout = seconds(ping_timeout);
  wishes.rules.close_timeout = seconds(close_timeout);
  wishes.callbacks = {callback(on_open), callback(on_message), callback(on_close)};
  wishes.evented = on_open != Py_None || on_message != Py_None || on_close != Py_None;
  return texts(subprotocols, "subprotocol", wishes.offer.subprotocols) &&
         texts(origins, "origin", wishes.offer.origins);
}

// With the status as an attribute: two arguments would be those of an error of the system.
bool raise_handshake_error(int status, const std::string& why) {
  PyObject* const kind = runtime().handshake_error;
  const PyRef error = PyRef::steal(PyObject_CallFunction(kind, "s", why.c_str()));
  const PyRef number = PyRef::steal(PyLong_FromLong(status));
  if (error && number && PyObject_SetAttrString(error.get(), "status", number.get()) == 0) {
    PyErr_SetObject(kind, error.get());
  }
  return false;
}

websocket::Handshake answer_to(const Exchange& exchange, const websocket::Offer& offer) {
  const auto& forwarded = exchange.peer->forwarded;
  const bool is_told = forwarded && !forwarded->host.empty();
  const std::string_view authority =
      is_told ? std::string_view(forwarded->host) : exchange.request.first("Host");
  return websocket::answer_handshake(exchange.request, exchange.peer->scheme, authority, offer);
}

std::vector<OwnField> fields_of(const websocket::Handshake& handshake) {
  std::vector<OwnField> fields{{"Upgrade", "websocket"},
                               {"Sec-WebSocket-Accept", handshake.accept}};
  if (!handshake.subprotocol.empty()) {
    fields.emplace_back("Sec-WebSocket-Protocol", handshake.subprotocol);
  }
  if (!handshake.extensions.empty()) {
    fields.emplace_back("Sec-WebSocket-Extensions", handshake.extensions);
  }
  return fields;
}

PyRef accept(Upgradable& call, Wishes& wishes) {
  if (!call.claim(caller)) return {};
  const auto handshake = answer_to(*call.exchange, wishes.offer);
  if (handshake.status != 101) {
    call.is_claimed = false;
    call.refuse(handshake.status, handshake.fault + "\n");
    raise_handshake_error(handshake.status, handshake.fault);
    return {};
  }
  if (!wishes.evented && !call.hold()) {
    call.is_claimed = false;
    return {};
  }
  wishes.rules.compression = handshake.compression;
  auto session = std::make_shared<websocket::Session>(call.exchange, wishes.rules, call.sessions);
  PyRef object =
      make_websocket(session, handshake.subprotocol, PyRef::borrow(call.server), call.drop_list);
  if (!object || !call.switch_now(caller, fields_of(handshake), wishes.fields)) {
    call.is_claimed = false;  // nothing is sent
    return {};
  }
  std::shared_ptr<WebSocketEvents> events;
  if (wishes.evented) {
    events = std::make_shared<WebSocketEvents>(session, std::move(wishes.callbacks),
                                               PyRef::borrow(object.get()), call.queue,
                                               call.drop_list, call.report);
    call.exchange->events = events;
  }
  call.websocket = session;
  call.owns_websocket = !wishes.evented;
  try {
    session->begin(events);
    if (call.outlives_application && !wishes.evented) session->leave_to_user();
  } catch (const std::system_error&) {
    call.exchange->events.reset();
    call.exchange->abort();
    call.websocket.reset();
    throw;
  }
  return object;
}

PyObject* accept_websocket(PyObject*, PyObject* args, PyObject* named) {
  PyObject* upgrade = nullptr;
  Wishes wishes;
  if (!parse(args, named, upgrade, wishes)) return nullptr;
  Upgradable* const call = upgradable_of(upgrade, caller);
  if (call == nullptr) return nullptr;
  const UpgradeUse use(*call);
  try {
    return accept(*call, wishes).release();
  } catch (const std::system_error& error) {
    complain(PyExc_OSError, caller, error.what());
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
  }
  return nullptr;
}

PyMethodDef functions[] = {
    {"accept_websocket",
     reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(accept_websocket)),
     METH_VARARGS | METH_KEYWORDS, "See prowingen_wsgi.websocket.accept."},
    {"broadcast", broadcast, METH_VARARGS,
     "broadcast(websockets, data, /) -> list\n\nSends one message to many. Those it was not sent "
     "to."},
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace

bool init_websocket_accept(PyObject* module) {
  return init_websocket_type(module) && PyModule_AddFunctions(module, functions) == 0;
}

void end_websocket(const Upgradable& call, PyObject* callback, bool failed) {
  if (callback != nullptr && !failed) {
    const PyRef result = PyRef::steal(PyObject_CallNoArgs(callback));
    leave_if_forked(*call.exchange);
    if (!result) {
      const bool left =
          PyErr_ExceptionMatches(runtime().client_disconnected) != 0 && !call.websocket->is_open();
      failed = !left;
      if (left) PyErr_Clear();
      if (failed) {
        call.report(Severity::error,
                    request_line(*call.exchange) + ": the callback of websocket.accept failed");
      }
    }
  }
  if (!call.owns_websocket && !failed) return;
  call.websocket->close(
      {failed ? websocket::close_code::internal_error : websocket::close_code::normal, {}}, true);
}

}  // namespace prowingen::wsgi
