// What a request has that another protocol may follow: opaque.upgrade in an environ,
// request.upgrade of a raw listener.
//
//   upgrade(parameters, callback)   WSGI's form of owin-OpaqueStream 0.2: who calls it, and answers
//                                   101, is called back when the answer is out, with what follows
//   upgrade.stream(...)             answers 101 at once, and returns what follows
//   upgrade.websocket(...)          prowingen_wsgi.websocket.accept, for which see
//                                   websocket_accept.h
#pragma once

#include <Python.h>

#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include "core/exchange.h"
#include "websocket/session.h"
#include "wsgi/adapter.h"
#include "wsgi/drop_list.h"
#include "wsgi/py_ref.h"
#include "wsgi/responder.h"
#include "wsgi/worker.h"

namespace prowingen::wsgi {

/// A field of an answer, that is known to be right.
using OwnField = std::pair<std::string_view, std::string_view>;

/// An application call that may end in another protocol.
struct Upgradable {
  Responder& responder;
  const std::shared_ptr<Exchange>& exchange;
  WorkQueue& queue;
  std::size_t high_water;
  DropList& drop_list;
  websocket::Sessions& sessions;
  PyObject* server;
  const ReportError& report;
  Worker* worker;  // that is in it

  /// What it was accepted as; null: nothing.
  std::shared_ptr<websocket::Session> websocket = nullptr;
  /// That is the call's own, and ends with it; else it has callbacks.
  bool owns_websocket = false;
  /// What the answer was given for that went out at once; null: nothing.
  PyRef stream = PyRef();
  /// One of the application's threads accepts it, or has.
  bool is_claimed = false;
  /// The application has returned, and said that it answers later: what is opened from then on has
  /// no other owner than its user.
  bool outlives_application = false;
  /// Whether it may be called for a callback.
  bool calls_back = true;
  /// How many of them are about to use this, which ends after them.
  int users = 0;

  /// The request lives long, and its worker leaves the pool. False with a Python error set: there
  /// is no thread to take its place, and that is answered. Other threads may run meanwhile.
  bool hold();
  /// Waits for the application's threads that use it; when the application has returned.
  void await_users() const;
  /// Whatever the application answers from now on is not sent. Before that its answer is `status`,
  /// with a page.
  void refuse(int status, std::string_view page);
  // Each of these: false with a Python error set that names `who`.

  /// It is `who`'s from now on, until that lets go of it: nobody has answered it, or is about to.
  bool claim(const char* who);
  /// Answers 101 at once, with `own` fields and those of a list of the application's. False:
  /// nothing was sent.
  bool switch_now(const char* who, std::span<const OwnField> own, PyObject* fields);
};

/// Keeps the call from its end, while other threads may run. With the GIL.
class UpgradeUse {
 public:
  explicit UpgradeUse(Upgradable& call) : call_(call) { ++call_.users; }
  ~UpgradeUse() { --call_.users; }
  UpgradeUse(const UpgradeUse&) = delete;
  UpgradeUse& operator=(const UpgradeUse&) = delete;

 private:
  Upgradable& call_;
};

/// False with a Python error set.
bool init_upgrade_type(PyObject* module);

/// The callable; acts on `call`. Null with a Python error set.
PyRef make_upgrade_call(Upgradable& call);

/// What it acts on. Null with a Python error set: the object is another one, or the application has
/// returned.
Upgradable* upgradable_of(PyObject* upgrade_call, const char* who);

/// The application call is over. Returns the callback that it was given, or null.
PyRef take_callback(PyObject* upgrade_call);

/// Calls it with what follows the answer, and sees to its end. Leaves no Python error set.
void speak_opaquely(PyObject* callback, const Upgradable& call);

}  // namespace prowingen::wsgi
