#include "listener/handler.h"

#include "listener/request.h"
#include "listener/response.h"
#include "wsgi/forked_child.h"

namespace prowingen::listener {

using wsgi::PyRef;

bool init_types(PyObject* module) {
  return init_request_types(module) && init_response_types(module);
}

Handler::Handler(std::vector<PyRef> callables, const Options& options, wsgi::DropList& drop_list,
                 websocket::Sessions& websockets,
                 std::shared_ptr<response_cache::ResponseCache> cache, wsgi::ReportError report)
    : callables_(std::move(callables)),
      drop_list_(drop_list),
      websockets_(websockets),
      rules_(options, nullptr, std::move(cache)),
      report_(std::move(report)) {}

class Handler::Caller final : public wsgi::Adapter::Runner {
 public:
  Caller(Handler& handler, WorkQueue& queue, PyObject* server)
      : handler_(handler), queue_(queue), server_(server) {}

  void run(const std::shared_ptr<Exchange>& exchange) override {
    const PyRef request = make_request(exchange, PyRef::borrow(server_));
    const PyRef object =
        make_response(exchange, queue_, handler_.drop_list_, handler_.left_out_, handler_.rules_,
                      handler_.report_, PyRef::borrow(request.get()), PyRef::borrow(server_));
    const bool made = request && object && offer_upgrade(exchange, object);
    if (!made) {  // no memory
      handler_.report_(Severity::error, wsgi::request_line(*exchange));
      return exchange->abort();
    }
    PyObject* args[] = {nullptr, request.get(), object.get()};
    const PyRef result =
        PyRef::steal(PyObject_Vectorcall(handler_.callables_[exchange->listener].get(), args + 1,
                                         2 | PY_VECTORCALL_ARGUMENTS_OFFSET, nullptr));
    wsgi::leave_if_forked(*exchange);
    if (result && result.get() != Py_None) {
      // A coroutine would never run, and an answer in WSGI's manner be lost.
      PyErr_Format(PyExc_TypeError,
                   "the handler returned %.100s; it must return None and write to response.body",
                   Py_TYPE(result.get())->tp_name);
    }
    response_of(object.get()).handler_returned();
  }

 private:
  bool offer_upgrade(const std::shared_ptr<Exchange>& exchange, const PyRef& response) {
    if (!exchange->may_upgrade) return true;
    return response_of(response.get())
        .offer_upgrade(exchange, queue_, handler_.drop_list_, handler_.rules_,
                       handler_.websockets_);
  }

  Handler& handler_;
  WorkQueue& queue_;
  PyObject* server_;  // whose thread this runs on
};

std::unique_ptr<wsgi::Adapter::Runner> Handler::make_runner(WorkQueue& queue, PyObject* server) {
  return std::make_unique<Caller>(*this, queue, server);
}

}  // namespace prowingen::listener
