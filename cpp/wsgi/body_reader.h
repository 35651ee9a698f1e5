// What an exchange's client sends, read by Python code: as a file reads, or as a socket receives.
// With the GIL; what waits for the client gives it up.
//
// The bytes come in blocks that the I/O thread has gathered: the block is the reader's own and is
// read without a lock; when it is used up it is swapped for what has arrived meanwhile.
#pragma once

#include <Python.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/exchange.h"
#include "wsgi/py_ref.h"

namespace prowingen::wsgi {

class BodyReader {
 public:
  using Limit = std::optional<std::size_t>;

  /// What it is to the application: for messages, and for the error of one that is closed, which is
  /// a file's ValueError or a socket's OSError.
  enum class Kind : std::uint8_t { input, opaque_stream };

  /// `exchange`: null for a body of nothing. `trailers`: a list that is filled when the body has
  /// been read to its end; null: none is to be.
  BodyReader(Kind kind, std::shared_ptr<Exchange> exchange, PyRef trailers)
      : kind_(kind), exchange_(std::move(exchange)), trailers_(std::move(trailers)) {}

  /// By the application.
  void close();
  /// By the server.
  void detach() { end(State::answered); }
  bool closed() const { return state_ != State::open; }
  /// False, with a Python error set, if it is closed.
  bool check_open() const;

  /// How long a call waits for bytes, after which it raises TimeoutError; nothing: for ever. Zero:
  /// it does not wait, and raises BlockingIOError.
  void set_timeout(std::optional<std::chrono::nanoseconds> timeout) { timeout_ = timeout; }

  // Each of these: null, or -1, with a Python error set.

  /// `limit` bytes, fewer only at the end of the body.
  PyObject* read(Limit limit);
  /// What is there, and some if nothing is: `limit` bytes at most; none only at the body's end.
  PyObject* read_some(Limit limit);
  /// Fills the buffer, `all` of it unless the body ends, or with what is there; the number of
  /// bytes.
  Py_ssize_t read_into(const Py_buffer& buffer, bool all);
  /// Up to and with the next newline, `limit` bytes at most.
  PyObject* read_line(Limit limit);

 private:
  enum class Fill : std::uint8_t { more, end, error };
  enum class State : std::uint8_t { open, closed, answered };

  const char* name() const { return kind_ == Kind::input ? "wsgi.input" : "opaque.stream"; }
  std::string_view rest() const { return std::string_view(block_).substr(position_); }
  bool block_is_last() const { return !exchange_; }
  std::string_view take(std::size_t size);
  void put_back(std::string& gathered);
  void look_for_trailers();
  Fill at_end();
  void end(State state);
  bool check_readable() const;
  Fill fill();
  Exchange::Read await_block(Exchange& exchange, std::string& block);

  const Kind kind_;
  std::shared_ptr<Exchange> exchange_;  // null at the end of the body
  PyRef trailers_;                      // to be filled then
  std::string block_;
  std::size_t position_ = 0;
  std::optional<std::chrono::nanoseconds> timeout_;
  bool filling_ = false;
  State state_ = State::open;
};

}  // namespace prowingen::wsgi
