// Runs a WSGI application for one exchange after the other (PEP 3333). With the GIL.
#pragma once

#include <Python.h>

#include <memory>
#include <vector>

#include "core/options.h"
#include "core/work_queue.h"
#include "sockets/bridge_thread.h"
#include "websocket/sessions.h"
#include "wsgi/adapter.h"
#include "wsgi/client_disconnected.h"
#include "wsgi/departure_calls.h"
#include "wsgi/drop_list.h"
#include "wsgi/environ.h"
#include "wsgi/left_out_fields.h"
#include "wsgi/py_ref.h"
#include "wsgi/responder.h"
#include "wsgi/start_response.h"

namespace prowingen::wsgi {

class Application final : public Adapter {
 public:
  /// `callables`: one for each listening socket, in their order.
  /// `multiprocess`: other processes run the same application (PEP 3333).
  /// `errors`: wsgi.errors; null: what sys.stderr is at each request.
  /// `bridges`: makes the sockets that requests are given which may be upgraded; `websockets`: what
  /// these may become. `departures`: calls what is to be called when clients depart.
  Application(std::vector<PyRef> callables, const Options& options, bool multiprocess, PyRef errors,
              DropList& drop_list, sockets::BridgeThread& bridges, websocket::Sessions& websockets,
              DepartureCalls& departures, std::shared_ptr<static_files::NamedFiles> files,
              std::shared_ptr<response_cache::ResponseCache> cache, ReportError report);

  std::unique_ptr<Runner> make_runner(WorkQueue& queue, PyObject* server) override;

 private:
  class Caller;
  struct Upgrade;  // of a request that another protocol may follow
  struct Lent;     // what one application call after the other is given
  struct Returned;

  void run(const std::shared_ptr<Exchange>& exchange, Caller& caller);
  bool offer(Upgrade& upgrade, PyObject* environ);
  void conclude(Upgrade& upgrade, bool answered, PyObject* environ);
  void go_on(Upgrade& upgrade, PyObject* callback, PyObject* environ);
  bool send_body(PyObject* result, Responder& responder);
  bool send_sequence(PyObject* result, Responder& responder);
  bool send_iterable(PyObject* result, Responder& responder);
  void close_result(PyObject* result, const Exchange& exchange);

  const std::vector<PyRef> callables_;  // by Exchange::listener
  DropList& drop_list_;
  sockets::BridgeThread& bridges_;
  websocket::Sessions& websockets_;
  EnvironBuilder environ_;
  const AnswerRules rules_;
  const ReportError report_;
  const ClientDisconnected::Server departures_;
  LeftOutFields left_out_{report_};
};

}  // namespace prowingen::wsgi
