// The coding of one answer's body, by the thread that sends it: never by an I/O thread.
//
// Coding a page takes longer than a request does otherwise, and so the GIL is given up for it. The
// application may return meanwhile, if it writes on a thread of its own: what is coded then was for
// nobody.
#pragma once

#include <Python.h>

#include <cstddef>
#include <memory>
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
  // as also when its user has gone meanwhile. With the GIL, which they give up.

  std::optional<std::string> code(std::string_view piece, compression::Step step);
  /// Of a file: from `range.offset` on, which goes on with what was read. `end` only where the
  /// range ends.
  std::optional<std::string> code_some(FileRange& range);

  /// Its user goes.
  void orphan() { orphaned_ = true; }
  /// The end was coded: there is nothing to add.
  bool ended() const { return ended_; }

 private:
  template <class Work>
  std::optional<std::string> run(bool takes_long, Work work);
  void charge();

  const std::shared_ptr<Exchange> exchange_;
  compression::Lease coder_;
  std::size_t charged_ = 0;  // to the exchange
  // Guarded by the GIL.
  bool busy_ = false;
  bool orphaned_ = false;
  bool ended_ = false;
};

}  // namespace prowingen::wsgi
