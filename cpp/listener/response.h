// The response that a raw handler fills in: a status and header fields, then a body.
//
//              handler returns, close()
//   handling --------------------------------> closed
//      | |                                       ^  ^
//      | +--body.close()--> written --as above---+  |
//      |                                            |
//      +--defer()--> deferred --either close(), ----+
//                               any thread
//
// A body is closed by whatever wraps it, also when an exception passes: in `written` nothing more
// is taken, but the end waits for the handler's, which may be an exception still. A deferred
// response has nobody else to end it.
//
// A request that was upgraded is answered by that, whatever becomes of the response: what follows
// ends with the handler, or when its user ends it if the response was deferred.
//
// The last piece of the body is held back until the next one, flush() or the end: so the answer of
// a handler that writes once has a Content-Length and leaves in one piece, and many small writes
// gather. With the GIL; what can wait for the client gives it up.
#pragma once

#include <Python.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "websocket/sessions.h"
#include "wsgi/adapter.h"
#include "wsgi/py_ref.h"
#include "wsgi/responder.h"

namespace prowingen::listener {

using wsgi::PyRef;

/// A response, without what makes it a Python object. Each function that returns bool: false with
/// a Python error set.
class Response {
 public:
  enum class Phase : std::uint8_t { handling, written, deferred, closed };
  using Field = std::pair<std::string, std::string>;

  Response(std::shared_ptr<Exchange> exchange, WorkQueue& queue, wsgi::DropList& drop_list,
           wsgi::LeftOutFields& left_out, const wsgi::AnswerRules& rules,
           const wsgi::ReportError& report, PyRef request, PyRef server);
  ~Response();

  /// Another protocol may follow: the request is given what that takes. Arguments as above.
  bool offer_upgrade(std::shared_ptr<Exchange> exchange, WorkQueue& queue,
                     wsgi::DropList& drop_list, const wsgi::AnswerRules& rules,
                     websocket::Sessions& websockets);

  /// Whether the head can still be changed.
  bool head_is_open() const;
  bool set_field(std::string_view name, std::string_view value, bool replace);
  bool remove_field(std::string_view name);

  /// The number of bytes taken, or -1 with a Python error set.
  Py_ssize_t write(PyObject* data);
  bool flush();
  bool close();
  bool close_body();
  /// An exception leaves the block that the body was to be closed by: it must not look whole.
  void leave_body(PyObject* exception);
  bool defer();
  /// The handler is done: with the Python error that is set, or without one.
  void handler_returned();

  bool takes_output() const { return phase_ == Phase::handling || phase_ == Phase::deferred; }
  /// False with a ValueError set.
  bool check_open() const;
  /// Has the client looked for, which tells a later call.
  bool is_open();

  int status = 200;
  std::string reason;  // empty: the status's own phrase
  std::vector<Field> fields;

 private:
  struct Upgrade;

  bool is_upgraded() const { return responder_.answered_otherwise(); }
  void leave_upgraded(bool failed);
  bool begin_output() const;
  bool check_idle() const;
  bool settle_head();
  bool send_held(bool last);
  bool finish();
  void fail();
  void end();

  const PyRef server_;  // queue, engine and log must outlive what follows
  wsgi::Responder responder_;
  const wsgi::ReportError& report_;
  PyRef request_;
  std::unique_ptr<Upgrade> upgrade_;  // null: no other protocol can follow
  Phase phase_ = Phase::handling;
  bool busy_ = false;  // a thread is in the responder, perhaps without the GIL
  PyRef held_;         // bytes
  std::string gathered_;
};

/// Makes the types, once. False with an error set.
bool init_response_types(PyObject* module);

/// Arguments as for Response.
PyRef make_response(std::shared_ptr<Exchange> exchange, WorkQueue& queue, wsgi::DropList& drop_list,
                    wsgi::LeftOutFields& left_out, const wsgi::AnswerRules& rules,
                    const wsgi::ReportError& report, PyRef request, PyRef server);

Response& response_of(PyObject* object);

}  // namespace prowingen::listener
