// Python objects that an I/O thread is done with. It has no GIL to drop them with, so the next
// worker does: when its request ends, or when it lends another one. What is lent to it is the bytes
// of an answer, or kept for whoever may come to its end without the GIL.
#pragma once

#include <Python.h>

#include <atomic>
#include <mutex>
#include <utility>
#include <vector>

#include "core/chunk.h"
#include "core/forks.h"
#include "wsgi/py_ref.h"

namespace prowingen::wsgi {

class DropList {
 public:
  ~DropList() { drop_all(); }

  /// Lends the memory of `bytes`, an object of the type `bytes`, to the I/O threads. With the GIL.
  BorrowedBytes lend(PyObject* bytes) {
    return lend(bytes,
                {PyBytes_AS_STRING(bytes), static_cast<std::size_t>(PyBytes_GET_SIZE(bytes))});
  }
  /// The same of an object whose memory does not change while it is.
  BorrowedBytes lend(PyObject* object, std::string_view bytes) {
    auto* owner = new Loan{this, Py_NewRef(object)};
    return BorrowedBytes(bytes, owner, [](void* loan) {
      static_cast<Loan*>(loan)->list->add(static_cast<Loan*>(loan));
    });
  }

  /// Drops an object for who may have no GIL. Any thread.
  void drop(PyObject* object) { add(new Loan{this, object}); }

  /// Any thread.
  bool has_some() const { return !empty_.load(std::memory_order_relaxed); }

  /// Drops what has gathered. With the GIL.
  void drop_all() {
    // In a forked child the lock may be held by a thread that is not there.
    if (birthplace_.is_parent() || empty_.load(std::memory_order_relaxed)) return;
    std::vector<Loan*> loans;
    {
      const std::lock_guard lock(mutex_);
      loans.swap(loans_);
      empty_.store(true, std::memory_order_relaxed);
    }
    for (Loan* loan : loans) {
      Py_DECREF(loan->object);
      delete loan;
    }
  }

 private:
  struct Loan {
    DropList* list;
    PyObject* object;
  };

  void add(Loan* loan) {                  // any thread
    if (birthplace_.is_parent()) return;  // as above
    const std::lock_guard lock(mutex_);
    loans_.push_back(loan);
    empty_.store(false, std::memory_order_relaxed);
  }

  const Birthplace birthplace_;
  std::mutex mutex_;
  std::vector<Loan*> loans_;
  std::atomic<bool> empty_{true};
};

/// A reference that is let go by whatever thread, with the GIL or without. The list outlives it.
class Keep {
 public:
  Keep(DropList& list, PyRef object) : list_(list), object_(object.release()) {}
  ~Keep() { drop(); }
  Keep(const Keep&) = delete;
  Keep& operator=(const Keep&) = delete;

  PyObject* get() const { return object_; }
  void drop() {
    if (PyObject* const object = std::exchange(object_, nullptr)) list_.drop(object);
  }

 private:
  DropList& list_;
  PyObject* object_;
};

}  // namespace prowingen::wsgi
