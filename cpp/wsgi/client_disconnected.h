// prowingen.client_disconnected of the environ: whether the client has departed, as an event that
// an application may look at, wait for, or have something called at. For one that computes or
// sleeps for long and sends nothing by which it would learn of it.
//
//   exchange only, as long as the call runs --asked for more than is_set(), or kept--> with a
//   notice
//
// A request that does not look at it costs what one entry of the environ does.
#pragma once

#include <Python.h>

#include <memory>

#include "wsgi/adapter.h"
#include "wsgi/departure_calls.h"
#include "wsgi/drop_list.h"
#include "wsgi/py_ref.h"

namespace prowingen::wsgi {

class EnvironBuilder;

bool init_client_disconnected(PyObject* module);

/// Lends the event to one application call after the other, as AnswerCalls does.
class ClientDisconnected {
 public:
  /// What all events of a server have in common.
  struct Server {
    DepartureCalls& calls;
    DropList& drop_list;
    const ReportError& report;
  };

  /// `object`: the server, which no event keeps.
  ClientDisconnected(const Server& server, PyObject* object) : server_(server), object_(object) {}

  /// It tells of `exchange`. False with a Python error set.
  bool lend(Exchange& exchange);
  PyObject* get() const { return event_.get(); }
  /// The application call is over, and the environ let go.
  void take_back(const EnvironBuilder& environs);

 private:
  const Server& server_;
  PyObject* const object_;
  PyRef event_;
};

}  // namespace prowingen::wsgi
