#include "wsgi/body_reader.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "core/copying.h"
#include "wsgi/forked_child.h"
#include "wsgi/runtime.h"
#include "wsgi/trailers.h"
#include "wsgi/worker.h"

namespace prowingen::wsgi {
namespace {

PyObject* bytes(std::string_view text) {
  PyObject* made = PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(text.size()));
  if (made != nullptr) copy_octets(PyBytes_AS_STRING(made), text);
  return made;
}

// As a socket's calls do.
void raise_os_error(int code) {
  errno = code;
  PyErr_SetFromErrno(PyExc_OSError);
}

}  // namespace

void BodyReader::close() {
  if (state_ == State::open) end(State::closed);
}

bool BodyReader::check_open() const {
  if (!closed()) return true;
  if (kind_ == Kind::opaque_stream) {
    raise_os_error(EBADF);
  } else if (state_ == State::closed) {
    PyErr_SetString(PyExc_ValueError, "I/O operation on closed file");
  } else {
    PyErr_Format(PyExc_ValueError, "%s: read after the request was answered", name());
  }
  return false;
}

PyObject* BodyReader::read(Limit limit) {
  if (!check_readable()) return nullptr;
  std::string gathered;
  for (;;) {
    const auto available = rest();
    const std::size_t wanted = limit ? *limit - gathered.size() : available.size();
    if (gathered.empty() && limit && available.size() >= wanted) {
      return bytes(take(wanted));  // the common case: no copy but the one into `bytes`
    }
    const auto piece = take(std::min(wanted, available.size()));
    if (!gathered.empty() || !block_is_last()) {
      append_octets(gathered, piece);
    } else {
      return bytes(piece);
    }
    if (limit && gathered.size() == *limit) return bytes(gathered);
    switch (fill()) {
      case Fill::error: put_back(gathered); return nullptr;
      case Fill::end: return bytes(gathered);
      case Fill::more: break;
    }
  }
}

PyObject* BodyReader::read_some(Limit limit) {
  if (!check_readable()) return nullptr;
  if (rest().empty() && limit != 0 && fill() == Fill::error) return nullptr;
  return bytes(take(std::min(limit.value_or(rest().size()), rest().size())));
}

Py_ssize_t BodyReader::read_into(const Py_buffer& buffer, bool all) {
  if (!check_readable()) return -1;
  const auto size = static_cast<std::size_t>(buffer.len);
  std::size_t done = 0;
  while (done < size && (all || done == 0)) {
    if (rest().empty()) {
      const Fill outcome = fill();
      if (outcome == Fill::error) return -1;
      if (outcome == Fill::end) break;
    }
    const auto piece = take(std::min(size - done, rest().size()));
    copy_octets(static_cast<char*>(buffer.buf) + done, piece);
    done += piece.size();
  }
  return static_cast<Py_ssize_t>(done);
}

PyObject* BodyReader::read_line(Limit limit) {
  if (!check_readable()) return nullptr;
  std::string gathered;
  for (;;) {
    auto available = rest();
    if (limit) available = available.substr(0, *limit - gathered.size());
    const auto newline = available.find('\n');
    const bool complete = newline != std::string_view::npos;
    const auto piece = take(complete ? newline + 1 : available.size());
    if (complete && gathered.empty()) return bytes(piece);
    append_octets(gathered, piece);
    if (complete || (limit && gathered.size() == *limit)) return bytes(gathered);
    switch (fill()) {
      case Fill::error: put_back(gathered); return nullptr;
      case Fill::end: return bytes(gathered);
      case Fill::more: break;
    }
  }
}

// What a call that ran into a time limit had gathered is the next one's.
void BodyReader::put_back(std::string& gathered) {
  if (closed()) return;
  block_ = std::move(gathered);
  position_ = 0;
}

std::string_view BodyReader::take(std::size_t size) {
  const auto piece = rest().substr(0, size);
  position_ += size;
  if (trailers_ && position_ == block_.size()) look_for_trailers();
  return piece;
}

// An application that knows the length need not read on to the end. For want of memory it is
// tried again there.
void BodyReader::look_for_trailers() {
  if (!exchange_ || exchange_->birthplace.is_parent() || !exchange_->body_read()) return;
  if (fill_trailers(trailers_.get(), *exchange_)) {
    trailers_ = PyRef();
  } else {
    PyErr_Clear();
  }
}

BodyReader::Fill BodyReader::at_end() {
  const bool filled = !trailers_ || fill_trailers(trailers_.get(), *exchange_);
  if (!filled) return Fill::error;
  trailers_ = PyRef();
  exchange_.reset();
  return Fill::end;
}

void BodyReader::end(State state) {
  exchange_.reset();
  trailers_ = PyRef();
  std::string().swap(block_);  // an assignment would keep the memory
  position_ = 0;
  state_ = state;
}

bool BodyReader::check_readable() const {
  if (!check_open()) return false;
  if (filling_) {
    PyErr_Format(PyExc_RuntimeError, "%s: read by two threads at once", name());
    return false;
  }
  // Not only where it would have to wait for more: a block may take long to be worked through.
  if (exchange_ && exchange_->cut() && !exchange_->client_waits()) {
    raise_departed(*exchange_);
    return false;
  }
  return true;
}

Exchange::Read BodyReader::await_block(Exchange& exchange, std::string& block) {
  if (exchange.body_ready()) return exchange.read_body(block);
  std::optional<SteadyTime> until;
  if (timeout_) until = std::chrono::steady_clock::now() + *timeout_;
  return without_gil([&] { return exchange.read_body(block, until); });
}

BodyReader::Fill BodyReader::fill() {
  block_.clear();
  position_ = 0;
  if (!exchange_) return Fill::end;
  leave_if_forked(*exchange_);
  const auto exchange = exchange_;  // end() may come while the GIL is away
  std::string block;
  const bool waits = timeout_ != std::chrono::nanoseconds::zero();
  filling_ = true;
  const auto outcome = await_block(*exchange, block);
  filling_ = false;
  if (!check_open()) return Fill::error;
  switch (outcome) {
    case Exchange::Read::departed: raise_departed(*exchange); return Fill::error;
    case Exchange::Read::failed:
      PyErr_Format(PyExc_OSError, "%s: the body cannot be read back from its file", name());
      return Fill::error;
    case Exchange::Read::timed_out:
      waits ? PyErr_SetString(PyExc_TimeoutError, "timed out") : raise_os_error(EAGAIN);
      return Fill::error;
    case Exchange::Read::end: return at_end();
    case Exchange::Read::bytes: block_ = std::move(block); return Fill::more;
  }
  return Fill::end;
}

}  // namespace prowingen::wsgi
