// Runs a raw handler, `handler(request, response)`, for one exchange after the other: what WSGI is
// without its environ and its protocol of calls. With the GIL.
#pragma once

#include <Python.h>

#include <memory>
#include <vector>

#include "core/options.h"
#include "websocket/sessions.h"
#include "wsgi/adapter.h"
#include "wsgi/drop_list.h"
#include "wsgi/left_out_fields.h"
#include "wsgi/py_ref.h"
#include "wsgi/responder.h"

namespace prowingen::listener {

/// Makes the types of this layer, once. False with an error set.
bool init_types(PyObject* module);

class Handler final : public wsgi::Adapter {
 public:
  /// `callables`: one for each listening socket, in their order.
  /// `websockets`: those that requests may become.
  Handler(std::vector<wsgi::PyRef> callables, const Options& options, wsgi::DropList& drop_list,
          websocket::Sessions& websockets, std::shared_ptr<response_cache::ResponseCache> cache,
          wsgi::ReportError report);

  std::unique_ptr<Runner> make_runner(WorkQueue& queue, PyObject* server) override;

 private:
  class Caller;

  const std::vector<wsgi::PyRef> callables_;  // by Exchange::listener
  wsgi::DropList& drop_list_;
  websocket::Sessions& websockets_;
  const wsgi::AnswerRules rules_;
  const wsgi::ReportError report_;
  wsgi::LeftOutFields left_out_{report_};
};

}  // namespace prowingen::listener
