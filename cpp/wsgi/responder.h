// One request's answer as PEP 3333 sees it: what start_response, write() and the iterable add up
// to, checked and handed to the exchange. With the GIL; functions that can wait give it up.
#pragma once

#include <Python.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/exchange.h"
#include "wsgi/drop_list.h"
#include "wsgi/worker.h"

namespace prowingen::wsgi {

class Responder {
 public:
  Responder(Exchange& exchange, Worker& worker, DropList& drop_list, std::size_t high_water)
      : exchange_(exchange), worker_(worker), drop_list_(drop_list), high_water_(high_water) {}

  // Each of these: false with a Python error set.

  /// start_response(status, headers, exc_info); `exc_info` may be null.
  bool start(PyObject* status, PyObject* headers, PyObject* exc_info);
  /// One piece of the body, an object of the type `bytes`. `last`: nothing follows.
  bool write(PyObject* bytes, bool last);
  /// A file range as the whole body.
  bool write_file(FileRange range);
  /// The application is done.
  bool finish();

  /// An answer of the server's own after the application failed before its head went out.
  void answer_plainly(int status, std::string_view page);

  /// The whole body's length is known before any of it is sent.
  void set_total(std::uint64_t size) { total_ = size; }
  bool started() const { return started_; }
  bool head_sent() const { return head_sent_; }
  bool finished() const { return finished_; }
  bool body_allowed() const { return body_allowed_; }
  std::optional<std::uint64_t> declared() const { return declared_; }
  /// Why the answer is not what the application meant, for the log; empty if it is.
  const std::string& complaint() const { return complaint_; }

 private:
  bool set_status(PyObject* status);
  bool add_field(PyObject* item);
  void settle_head();
  bool push(Chunk chunk, bool last);
  /// What the client was or will be told that the body's length is.
  std::optional<std::uint64_t> bound() const {
    return declared_ || !head_sent_ ? declared_ : total_;
  }

  Exchange& exchange_;
  Worker& worker_;
  DropList& drop_list_;
  const std::size_t high_water_;
  bool started_ = false;
  bool head_sent_ = false;
  bool finished_ = false;
  bool body_allowed_ = true;
  std::optional<std::uint64_t> declared_;  // Content-Length of the application
  std::optional<std::uint64_t> total_;
  std::uint64_t sent_ = 0;
  std::string complaint_;
};

}  // namespace prowingen::wsgi
