#include "wsgi/coded_body.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <utility>

#include "wsgi/worker.h"

namespace prowingen::wsgi {
namespace {

using compression::Step;

// Below this another thread would hardly have got the GIL when it is wanted back: about 20 us.
constexpr std::size_t long_piece = std::size_t{4} * 1024;
constexpr std::size_t file_piece = std::size_t{64} * 1024;

// The next octets of the range, which says what is left of it then. Sets errno; fewer than there
// should be are EIO's.
bool read_piece(FileRange& range, std::string& piece) {
  piece.resize(static_cast<std::size_t>(std::min<std::uint64_t>(range.length, file_piece)));
  std::size_t read = 0;
  while (read < piece.size()) {
    const auto got = ::pread(range.file->get(), piece.data() + read, piece.size() - read,
                             static_cast<off_t>(range.offset + read));
    if (got < 0 && errno == EINTR) continue;
    if (got == 0) errno = EIO;
    if (got <= 0) return false;
    read += static_cast<std::size_t>(got);
  }
  range.offset += read;
  range.length -= read;
  return true;
}

}  // namespace

// `work` returns 0, or an error number.
template <class Work>
std::optional<std::string> CodedBody::run(bool takes_long, Work work) {
  if (busy_) {
    PyErr_SetString(PyExc_RuntimeError,
                    "two threads write one answer, which is compressed: one has to wait for the "
                    "other");
    return std::nullopt;
  }
  const auto self = shared_from_this();
  std::string out;
  const auto guarded = [&] {
    try {
      return work(out);
    } catch (const std::bad_alloc&) {
      return ENOMEM;
    }
  };
  busy_ = true;
  const int error = takes_long ? without_gil(guarded) : guarded();
  busy_ = false;
  if (orphaned_) {
    PyErr_SetString(PyExc_ValueError, "the application returned while write() was under way");
    return std::nullopt;
  }
  if (error != 0) {
    errno = error;
    PyErr_SetFromErrno(PyExc_OSError);
    return std::nullopt;
  }
  return out;
}

// What is whole has been coded, and the coder is free, before anything else could want memory.
void CodedBody::charge() {
  const std::size_t holds = ended_ ? 0 : coder_.get().memory();
  if (holds != std::exchange(charged_, holds)) exchange_->hold(holds);
}

std::optional<std::string> CodedBody::code(std::string_view piece, Step step) {
  auto out = run(piece.size() >= long_piece, [&](std::string& to) {
    coder_.get().code(piece, step, to);
    return 0;
  });
  if (!out) return out;
  ended_ = step == Step::end;
  charge();
  return out;
}

std::optional<std::string> CodedBody::code_some(FileRange& range) {
  auto out = run(true, [&](std::string& to) {
    std::string piece;
    if (!read_piece(range, piece)) return errno;
    coder_.get().code(piece, range.length == 0 ? Step::end : Step::more, to);
    return 0;
  });
  if (!out) return out;
  ended_ = range.length == 0;
  charge();
  return out;
}

}  // namespace prowingen::wsgi
