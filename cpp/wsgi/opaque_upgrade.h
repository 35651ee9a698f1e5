// opaque.upgrade(parameters, callback): WSGI's form of owin-OpaqueStream 0.2.
//
// It is in the environ of a request that another protocol may follow. An application that calls it,
// and answers 101, is called back when its answer is out, with what follows.
#pragma once

#include <Python.h>

#include <memory>

#include "core/exchange.h"
#include "wsgi/adapter.h"
#include "wsgi/drop_list.h"
#include "wsgi/py_ref.h"
#include "wsgi/responder.h"

namespace prowingen::wsgi {

/// False with a Python error set.
bool init_upgrade_type();

/// The callable; acts on `responder`. Null with a Python error set.
PyRef make_upgrade_call(Responder& responder);

/// The application call is over. Returns the callback that it was given, or null.
PyRef take_callback(PyObject* upgrade_call);

/// What the callback is called with.
struct OpaqueEnd {
  const std::shared_ptr<Exchange>& exchange;  // whose head is sent
  std::size_t high_water;
  DropList& drop_list;
  PyObject* server;
};

/// Calls it and sees to its end. Leaves no Python error set.
void speak_opaquely(PyObject* callback, const OpaqueEnd& end, const ReportError& report);

}  // namespace prowingen::wsgi
