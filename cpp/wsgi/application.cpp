#include "wsgi/application.h"

#include <optional>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "http/request_policy.h"
#include "wsgi/answer_calls.h"
#include "wsgi/application_socket.h"
#include "wsgi/file_wrapper.h"
#include "wsgi/forked_child.h"
#include "wsgi/input.h"
#include "wsgi/opaque_stream.h"
#include "wsgi/opaque_upgrade.h"
#include "wsgi/runtime.h"
#include "wsgi/trailers.h"
#include "wsgi/websocket_accept.h"
#include "wsgi/worker.h"

namespace prowingen::wsgi {
namespace {

// Items of an exact list or tuple: nothing can change them, or be streamed, while they are sent.
struct Items {
  PyObject* const* first = nullptr;
  Py_ssize_t count = 0;
};

bool exact_items(PyObject* result, Items& items) {
  if (!PyList_CheckExact(result) && !PyTuple_CheckExact(result)) return false;
  items = {PySequence_Fast_ITEMS(result), PySequence_Fast_GET_SIZE(result)};
  return true;
}

}  // namespace

Application::Application(std::vector<PyRef> callables, const Options& options, bool multiprocess,
                         PyRef errors, DropList& drop_list, sockets::BridgeThread& bridges,
                         websocket::Sessions& websockets, DepartureCalls& departures,
                         std::shared_ptr<static_files::NamedFiles> files,
                         std::shared_ptr<response_cache::ResponseCache> cache, ReportError report)
    : callables_(std::move(callables)),
      drop_list_(drop_list),
      bridges_(bridges),
      websockets_(websockets),
      rules_(options, std::move(files), std::move(cache)),
      report_(std::move(report)),
      departures_{departures, drop_list_, report_} {
  const auto& software = options.server_header;
  if (!environ_.init(options.threads > 1, multiprocess, software.empty() ? "prowingen" : software,
                     std::move(errors), options.request_start_header)) {
    throw std::runtime_error("cannot build the environ template");
  }
}

struct Application::Lent {
  Lent(const ClientDisconnected::Server& departures, PyObject* server)
      : client_disconnected(departures, server) {}

  StartResponse start_response;
  LentTrailers trailers;
  LentInput input;
  AnswerCalls calls;
  ClientDisconnected client_disconnected;
};

// What the environ had of it comes back once that and the result are gone.
struct Application::Returned {
  Lent& lent;
  const EnvironBuilder& environs;

  ~Returned() {
    lent.calls.take_back(environs);
    lent.client_disconnected.take_back(environs);
    lent.input.take_back(environs);
    lent.trailers.take_back();
  }
};

class Application::Caller final : public Adapter::Runner {
 public:
  Caller(Application& application, WorkQueue& requests, PyObject* whose)
      : queue(requests),
        server(whose),
        lent(application.departures_, whose),
        application_(application) {}

  void run(const std::shared_ptr<Exchange>& exchange) override {
    application_.run(exchange, *this);
  }

  WorkQueue& queue;
  PyObject* const server;  // whose thread this runs on
  Lent lent;

 private:
  Application& application_;
};

std::unique_ptr<Adapter::Runner> Application::make_runner(WorkQueue& queue, PyObject* server) {
  return std::make_unique<Caller>(*this, queue, server);
}

struct Application::Upgrade {
  Upgradable call;
  PyRef upgrade;  // opaque.upgrade, which acts on it
  PyRef socket;
};

// Adds to the environ what a request has that another protocol may follow. False with a Python
// error set.
bool Application::offer(Upgrade& upgrade, PyObject* environ) {
  const auto& exchange = upgrade.call.exchange;
  upgrade.upgrade = make_upgrade_call(upgrade.call);
  if (!upgrade.upgrade) return false;
  if (upgrade.call.responder.is_connect()) {  // no library looks for a socket there
    return offer_upgrade(environ, upgrade.upgrade.get(), nullptr);
  }
  try {
    auto bridge = bridges_.make(exchange, rules_.high_water);
    upgrade.socket =
        make_application_socket(bridge->take_socket(), *exchange->peer, upgrade.upgrade.get());
    if (!upgrade.socket) return false;
    upgrade.call.responder.offer_socket(std::move(bridge));
  } catch (const std::system_error& error) {
    report_(Severity::error, request_line(*exchange) + ": it is given no socket: " + error.what());
  }
  if (!offer_upgrade(environ, upgrade.upgrade.get(), upgrade.socket.get())) return false;
  return !offers(exchange->request, "websocket") || offer_websocket(environ, upgrade.upgrade.get());
}

// The application has returned: what it opened ends with that, or begins with it.
void Application::conclude(Upgrade& upgrade, bool answered, PyObject* environ) {
  const Upgradable& call = upgrade.call;
  call.await_users();
  const PyRef callback = take_callback(upgrade.upgrade.get());
  if (call.websocket) return end_websocket(call, callback.get(), !answered);
  if (call.stream) return end_opaque_stream(call.stream.get(), !answered);
  const bool goes_on = call.responder.switches() && !call.responder.answered_otherwise();
  if (answered && goes_on) go_on(upgrade, callback.get(), environ);
}

// The answer said that another protocol follows it.
void Application::go_on(Upgrade& upgrade, PyObject* callback, PyObject* environ) {
  if (callback != nullptr) return speak_opaquely(callback, upgrade.call);
  upgrade.socket = PyRef();
  if (run_ws4py(environ)) return;
  report_(Severity::error,
          request_line(*upgrade.call.exchange) + ": the WebSocket of ws4py failed");
}

void Application::run(const std::shared_ptr<Exchange>& exchange, Caller& caller) {
  Lent& lent = caller.lent;
  Responder responder(exchange, caller.queue, drop_list_, left_out_, rules_);
  const Returned in_the_end{lent, environ_};  // however the call ends
  PyObject* start_response = lent.start_response.lend(responder);
  bool trailers_to_come = false;
  PyObject* const trailers = lent.trailers.lend(*exchange, trailers_to_come);
  PyObject* const input = trailers != nullptr
                              ? lent.input.lend(exchange, trailers_to_come ? trailers : nullptr)
                              : nullptr;
  const bool all_lent =
      input != nullptr && lent.calls.lend(responder) && lent.client_disconnected.lend(*exchange);
  PyRef environ =
      all_lent
          ? environ_.build(*exchange, {input, trailers, lent.calls, lent.client_disconnected.get()})
          : PyRef();
  std::optional<Upgrade> upgrade;
  if (environ && exchange->may_upgrade) {
    upgrade.emplace(Upgradable{responder, exchange, caller.queue, rules_.high_water, drop_list_,
                               websockets_, caller.server, report_, Worker::current()});
    if (!offer(*upgrade, environ.get())) environ = PyRef();
  }
  PyRef result;
  if (start_response != nullptr && environ) {
    PyObject* args[] = {nullptr, environ.get(), start_response};
    result = PyRef::steal(PyObject_Vectorcall(callables_[exchange->listener].get(), args + 1,
                                              2 | PY_VECTORCALL_ARGUMENTS_OFFSET, nullptr));
    leave_if_forked(*exchange);
  }
  bool answered = false;
  const bool without_thread = result && responder.switches() && !responder.answered_otherwise() &&
                              !Worker::leave_pool_for(*exchange);
  if (without_thread && !responder.head_sent()) {
    responder.turn_away();
  } else {
    answered = result && send_body(result.get(), responder);
    if (!answered) handle_failure(responder, report_);
  }
  if (result) close_result(result.get(), *exchange);
  if (!responder.complaint().empty()) {
    report_(Severity::error, request_line(*exchange) + ": " + responder.complaint());
  }
  lent.start_response.take_back();
  if (upgrade) conclude(*upgrade, answered, environ.get());
  environ = PyRef();
}

bool Application::send_body(PyObject* result, Responder& responder) {
  if (responder.names_file()) return responder.send_named_file();
  if (is_file_wrapper(result) && responder.started() && !responder.head_sent()) {
    if (auto range = file_range(result)) return responder.write_file(std::move(*range));
  }
  if (PyList_CheckExact(result) || PyTuple_CheckExact(result)) {
    return send_sequence(result, responder);
  }
  if (PyBytes_Check(result) || PyUnicode_Check(result)) {
    PyErr_Format(PyExc_TypeError,
                 "the application returned %.100s; it must return an iterable of bytes, such as a "
                 "list with one item",
                 Py_TYPE(result)->tp_name);
    return false;
  }
  return send_iterable(result, responder);
}

// All of the body is there, so its length is known and it leaves with the head.
bool Application::send_sequence(PyObject* result, Responder& responder) {
  Items items;
  exact_items(result, items);
  std::uint64_t total = 0;
  for (Py_ssize_t i = 0; i < items.count; ++i) {
    if (!PyBytes_Check(items.first[i])) return responder.write(items.first[i], false);  // TypeError
    total += static_cast<std::uint64_t>(PyBytes_GET_SIZE(items.first[i]));
  }
  if (!responder.head_sent()) responder.set_total(total);
  for (Py_ssize_t i = 0; exact_items(result, items) && i < items.count; ++i) {
    const PyRef item = PyRef::borrow(items.first[i]);  // write() may let other threads run
    if (!responder.write(item.get(), i + 1 == items.count)) return false;
  }
  return responder.finish();
}

bool Application::send_iterable(PyObject* result, Responder& responder) {
  const PyRef iterator = PyRef::steal(PyObject_GetIter(result));
  if (!iterator) return false;
  for (;;) {
    const PyRef item = PyRef::steal(PyIter_Next(iterator.get()));
    leave_if_forked(responder.exchange());
    if (!item && PyErr_Occurred()) return false;
    // One whose call is a generator has said so only now.
    if (responder.names_file()) return responder.send_named_file();
    if (!item) return responder.finish();
    if (!responder.write(item.get(), false)) return false;
    // The rest of a body that is not sent need not be made: that of an answer to HEAD, and what
    // follows a Content-Length (PEP 3333 "Handling the Content-Length Header").
    const bool enough = responder.head_sent() && !responder.body_allowed();
    if (enough || !responder.complaint().empty()) return responder.finish();
  }
}

void Application::close_result(PyObject* result, const Exchange& exchange) {
  if (PyList_CheckExact(result) || PyTuple_CheckExact(result)) return;
  const PyRef close = PyRef::steal(PyObject_GetAttr(result, runtime().close));
  if (!close) {
    if (PyErr_ExceptionMatches(PyExc_AttributeError)) return PyErr_Clear();
  } else {
    const PyRef closed = PyRef::steal(PyObject_CallNoArgs(close.get()));
    leave_if_forked(exchange);
    if (closed) return;
  }
  report_(Severity::error, request_line(exchange) + ": the iterable's close() failed");
}

}  // namespace prowingen::wsgi
