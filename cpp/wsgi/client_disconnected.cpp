#include "wsgi/client_disconnected.h"

#include <chrono>
#include <memory>
#include <new>
#include <utility>

#include "core/forks.h"
#include "wsgi/environ.h"
#include "wsgi/timeouts.h"
#include "wsgi/worker.h"

namespace prowingen::wsgi {
namespace {

// A loop that asks in each of its rounds costs the engine little.
constexpr std::chrono::milliseconds doubt_interval{50};

PyTypeObject* event_type = nullptr;

// The Python error that is set, which is cleared. An event that outlives its call may outlive its
// server, by which errors are logged otherwise.
void log_failure() {
  PyObject* type;
  PyObject* value;
  PyObject* traceback;
  PyErr_Fetch(&type, &value, &traceback);
  PyErr_NormalizeException(&type, &value, &traceback);
  if (traceback != nullptr) PyException_SetTraceback(value, traceback);
  const PyRef kind = PyRef::steal(type);
  const PyRef error = PyRef::steal(value);
  const PyRef stack = PyRef::steal(traceback);
  const PyRef logs = PyRef::steal(PyImport_ImportModule("prowingen_wsgi.logs"));
  const PyRef logged =
      logs ? PyRef::steal(PyObject_CallMethod(
                 logs.get(), "log_native_event", "isO", static_cast<int>(Severity::error),
                 "a callback of prowingen.client_disconnected failed", error.get()))
           : PyRef();
  if (!logged) PyErr_WriteUnraisable(nullptr);  // a logging handler that raises
}

// How what it is asked becomes what its notice knows. With the GIL.
class Event {
 public:
  using Server = ClientDisconnected::Server;

  Event(const Server& server, PyObject* object) : server_(server), object_(object) {}

  void lend(Exchange& exchange) { exchange_ = &exchange; }
  /// Nobody else has it: as before it was lent.
  void take_back() {
    exchange_ = nullptr;
    doubted_at_ = SteadyTime();
    if (!notice_) return;
    notice_.reset();
  }
  /// The call is over, and somebody may still look.
  void leave() {
    if (exchange_ != nullptr) notice();
    exchange_ = nullptr;
  }
  ~Event() {
    // Of the parent's: its threads may have waited at the fork, for which its end would wait here.
    if (in_child()) new (std::nothrow) std::shared_ptr<DepartureNotice>(std::move(notice_));
  }

  bool is_set() {
    if (in_child()) return notice_ ? notice_->departed() : exchange_->cut();
    doubt_client();
    if (notice_) return notice_->departed();
    return exchange_->cut() && exchange_->departure() != Departure::none;
  }

  bool wait(const Timeout& timeout) {
    if (is_set() || timeout.is_zero()) return is_set();
    const auto notice = this->notice();  // which this may lose meanwhile
    const auto until = timeout.deadline();
    if (!notice->over()) {
      without_gil([&] {
        notice->await_end(until);
        return true;
      });
    }
    return notice->departed();
  }

  /// False with a Python error set.
  bool add_callback(PyObject* callable) {
    const auto notice = this->notice();
    if (const auto exchange = notice->exchange()) {
      // Its server has not stopped, and does not go while this is done.
      const PyRef server = PyRef::borrow(object_);
      DepartureNotice::Call call{
          request_line(*exchange),
          std::make_unique<Keep>(server_.drop_list, PyRef::borrow(callable))};
      if (notice->add(call)) return server_.calls.watch(notice);
    }
    if (!notice->departed()) return true;  // it never will
    if (!PyRef::steal(PyObject_CallNoArgs(callable))) log_failure();
    return true;
  }

  /// In a fork of the process that serves the request nothing is learned any more.
  bool in_child() const {
    return notice_ ? notice_->birthplace.is_parent()
                   : exchange_ != nullptr && exchange_->birthplace.is_parent();
  }

 private:
  const std::shared_ptr<DepartureNotice>& notice() {
    if (!notice_) notice_ = DepartureNotice::make(*exchange_, server_.calls);
    return notice_;
  }

  void doubt_client() {
    if (exchange_ == nullptr || exchange_->cut()) return;  // an answer that is sent will tell
    const auto now = std::chrono::steady_clock::now();
    if (now - doubted_at_ < doubt_interval) return;
    doubted_at_ = now;
    exchange_->doubt_client();
  }

  Exchange* exchange_ = nullptr;             // while its call runs
  std::shared_ptr<DepartureNotice> notice_;  // null: no more was asked for than is_set()
  // Not kept: an application that keeps its environs would keep its server for ever. There while
  // the exchange is not over, as a server that stops ends those it has.
  const Server& server_;
  PyObject* const object_;
  SteadyTime doubted_at_;
};

struct EventObject {
  PyObject_HEAD Event event;
};

Event& event_of(PyObject* self) { return reinterpret_cast<EventObject*>(self)->event; }

bool refuse_in_child(PyObject* self, const char* method) {
  if (!event_of(self).in_child()) return false;
  PyErr_Format(PyExc_RuntimeError,
               "prowingen.client_disconnected: %s() in a child process, which learns of no "
               "departure: only the one that serves the request does",
               method);
  return true;
}

PyObject* event_is_set(PyObject* self, PyObject*) {
  return PyBool_FromLong(event_of(self).is_set());
}

PyObject* event_wait(PyObject* self, PyObject* args, PyObject* named) {
  static const char* names[] = {"timeout", nullptr};
  PyObject* given = Py_None;
  if (!PyArg_ParseTupleAndKeywords(args, named, "|O:wait", const_cast<char**>(names), &given)) {
    return nullptr;
  }
  Timeout timeout;
  if (!timeout.parse(given) || refuse_in_child(self, "wait")) return nullptr;
  return PyBool_FromLong(event_of(self).wait(timeout));
}

PyObject* event_add_callback(PyObject* self, PyObject* callable) {
  if (PyCallable_Check(callable) == 0) {
    PyErr_Format(PyExc_TypeError,
                 "prowingen.client_disconnected: add_callback() takes a callable without "
                 "arguments, not %.100s",
                 Py_TYPE(callable)->tp_name);
    return nullptr;
  }
  if (refuse_in_child(self, "add_callback")) return nullptr;
  if (!event_of(self).add_callback(callable)) return nullptr;
  Py_RETURN_NONE;
}

void event_dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  std::destroy_at(&event_of(self));
  type->tp_free(self);
  Py_DECREF(type);
}

template <class Function>
PyCFunction method(Function function) {
  return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(function));
}

PyMethodDef event_methods[] = {
    {"is_set", event_is_set, METH_NOARGS,
     "is_set() -> bool\n\nWhether the client departed before it had its answer, or the server gave "
     "the request up. Never waits."},
    {"wait", method(event_wait), METH_VARARGS | METH_KEYWORDS,
     "wait(timeout=None) -> bool\n\nWaits for that, so many seconds at most, and no longer than "
     "until the answer is sent; is_set()."},
    {"add_callback", event_add_callback, METH_O,
     "add_callback(function, /) -> None\n\nHas it called once, without arguments, on a thread of "
     "the server's when that happens; here and now if it has."},
    {nullptr, nullptr, 0, nullptr},
};

PyType_Slot event_slots[] = {
    {Py_tp_dealloc, reinterpret_cast<void*>(event_dealloc)},
    {Py_tp_methods, event_methods},
    {Py_tp_doc,
     const_cast<char*>("prowingen.client_disconnected: set once the client has departed")},
    {0, nullptr},
};

PyType_Spec event_spec = {"prowingen_wsgi._native.ClientDeparture", sizeof(EventObject), 0,
                          Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, event_slots};

}  // namespace

bool init_client_disconnected(PyObject* module) {
  event_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&event_spec));
  return event_type != nullptr && PyModule_AddType(module, event_type) == 0;
}

bool ClientDisconnected::lend(Exchange& exchange) {
  if (!event_) {
    event_ = PyRef::steal(reinterpret_cast<PyObject*>(PyObject_New(EventObject, event_type)));
    if (!event_) return false;
    new (&event_of(event_.get())) Event(server_, object_);
  }
  event_of(event_.get()).lend(exchange);
  return true;
}

void ClientDisconnected::take_back(const EnvironBuilder& environs) {
  if (!event_) return;
  Event& event = event_of(event_.get());
  if (environs.is_back(event_.get())) return event.take_back();
  event.leave();
  event_ = PyRef();
}

}  // namespace prowingen::wsgi
