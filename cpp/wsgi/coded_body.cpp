#include "wsgi/coded_body.h"

#include <unistd.h>

#include <cerrno>
#include <new>
#include <utility>

#include "wsgi/worker.h"

namespace prowingen::wsgi {
namespace {

using compression::Step;

// Below this another thread would hardly have got the GIL when it is wanted back.
constexpr std::size_t long_piece = 1024;

// Returns 0, or an error number; fewer octets than there should be are EIO's.
int read_range(const FileRange& range, std::string& content) {
  content.resize(static_cast<std::size_t>(range.length));
  std::size_t read = 0;
  while (read < content.size()) {
    const auto got = ::pread(range.file->get(), content.data() + read, content.size() - read,
                             static_cast<off_t>(range.offset + read));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return got == 0 ? EIO : errno;
    read += static_cast<std::size_t>(got);
  }
  return 0;
}

void raise_error(int error) {
  if (error == ENOMEM) {
    PyErr_NoMemory();
    return;
  }
  errno = error;
  PyErr_SetFromErrno(PyExc_OSError);
}

}  // namespace

bool CodedBody::has_user() const {
  if (!orphaned_) return true;
  PyErr_SetString(PyExc_ValueError, "the application returned while write() was under way");
  return false;
}

void CodedBody::set_busy(bool busy) {
  {
    const std::lock_guard lock(mutex_);
    busy_ = busy;
  }
  changed_.notify_all();
}

// Whoever has the GIL next goes next: what one thread has coded it has sent before.
void CodedBody::wait_for_others() {
  const auto free = [this] { return !busy_; };
  for (;;) {
    {
      const std::lock_guard lock(mutex_);
      if (free()) return;
    }
    release_gil([&] {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, free);
      return 0;
    });
  }
}

// `work` returns 0, or an error number.
template <class Work>
std::optional<std::string> CodedBody::run(bool takes_long, Work work) {
  const auto self = shared_from_this();
  wait_for_others();
  if (!has_user()) return std::nullopt;
  std::string out;
  if (ended_) {  // by one of them
    PyErr_SetString(PyExc_ValueError, "write() called after the end of the body");
    return std::nullopt;
  }
  const auto guarded = [&] {
    try {
      return work(out);
    } catch (const std::bad_alloc&) {
      return ENOMEM;
    }
  };
  begun_ = true;
  set_busy(true);
  const int error = takes_long ? without_gil(guarded) : guarded();
  set_busy(false);
  if (!has_user()) return std::nullopt;
  if (error != 0) {
    raise_error(error);
    return std::nullopt;
  }
  return out;
}

// What is whole has been coded, and the coder is free, before anything else could want memory.
void CodedBody::charge() {
  const std::size_t holds = ended_ ? 0 : coder_.get().memory();
  if (holds != std::exchange(charged_, holds)) exchange_->keep_for_answer(holds);
}

std::optional<std::string> CodedBody::code(std::string_view piece, Step step) {
  auto out = run(piece.size() >= long_piece || !coder_.quick(), [&](std::string& to) {
    coder_.get().code(piece, step, to);
    return 0;
  });
  if (!out) return out;
  ended_ = step == Step::end;
  charge();
  return out;
}

std::optional<std::string> CodedBody::code_file(const FileRange& range) {
  auto out = run(true, [&](std::string& to) {
    std::string content;
    if (const int error = read_range(range, content)) return error;
    coder_.get().code(content, Step::end, to);
    return 0;
  });
  if (out) ended_ = true;
  return out;
}

}  // namespace prowingen::wsgi
