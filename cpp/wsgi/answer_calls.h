// Callables of the environ for what an answer has beside its head and its body:
//
//   wsgi.early_hints(headers)          sends an interim answer 103 (RFC 8297), as gunicorn has it
//   prowingen.send_trailers(trailers)  sets the trailer section (RFC 9110 section 6.5)
//
// PEP 3333 has neither, and asks a server to begin names of its own with its own name.
#pragma once

#include <Python.h>

#include "wsgi/py_ref.h"

namespace prowingen::wsgi {

class EnvironBuilder;
class Responder;

PyTypeObject* make_answer_call_type();

/// Lends the callables to one application call after the other, as StartResponse does.
class AnswerCalls {
 public:
  /// They act on `responder`. False with a Python error set.
  bool lend(Responder& responder);
  PyObject* early_hints() const { return early_hints_.get(); }
  PyObject* send_trailers() const { return send_trailers_.get(); }
  /// The application call is over, and the environ let go.
  void take_back(const EnvironBuilder& environs);

 private:
  PyRef early_hints_;
  PyRef send_trailers_;
};

}  // namespace prowingen::wsgi
