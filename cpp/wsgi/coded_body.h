// The coding of one answer's body, by the thread that sends it: never by an I/O thread.
//
// Coding a page takes longer than a request does otherwise, and so the GIL is given up for it. The
// application may return meanwhile, if it writes on a thread of its own: what is coded then was for
// nobody.
#pragma once

#include <Python.h>

#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "compression/coders.h"
#include "core/chunk.h"
#include "core/exchange.h"

namespace prowingen::wsgi {

class CodedBody : public std::enable_shared_from_this<CodedBody> {
 public:
  /// Throws std::bad_alloc.
  CodedBody(std::shared_ptr<Exchange> exchange, const std::shared_ptr<compression::Coders>& coders)
      : exchange_(std::move(exchange)), coder_(coders) {}

  // Each returns what is to be sent, which may be nothing yet; none at all with a Python error set,
  // as also when its user has gone meanwhile. With the GIL, which they give up; what they are given
  // has to stay where it is without it. Who comes while another thread is in here waits.

  std::optional<std::string> code(std::string_view piece, compression::Step step);
  /// All of a file's range, which may be read into memory.
  std::optional<std::string> code_file(const FileRange& range);

  /// Until no other thread is in here.
  void wait_for_others();
  /// Its user goes.
  void orphan() { orphaned_ = true; }
  /// False with a Python error set: its user has gone.
  bool has_user() const;
  /// The end was coded: there is nothing to add.
  bool ended() const { return ended_; }
  bool begun() const { return begun_; }

 private:
  template <class Work>
  std::optional<std::string> run(bool takes_long, Work work);
  void set_busy(bool busy);
  void charge();

  const std::shared_ptr<Exchange> exchange_;
  compression::Lease coder_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool busy_ = false;  // guarded by the mutex
  // Guarded by the GIL.
  std::size_t charged_ = 0;  // to the exchange
  bool orphaned_ = false;
  bool begun_ = false;
  bool ended_ = false;
};

}  // namespace prowingen::wsgi
