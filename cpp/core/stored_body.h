// What has come of a request's body before a worker takes part in it.
//
//   bytes --> file: [0, k)  memory: [k, size), at most
//                             `whole_bound`   of a body that has no file, while all bodies together
//                                             have not used up their share of the memory budget
//                             `memory_bound`  of any other
//
// Most bodies never see the file. Memory that would overflow goes to the end of the file in one
// write, together with what does not fit: many small chunks cost few system calls.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>

#include "core/memory_budget.h"
#include "core/spool_file.h"

namespace prowingen {

/// The I/O thread adds until the exchange is submitted, after which the reader takes; never both.
class StoredBody {
 public:
  static constexpr std::size_t whole_bound = 1024 * 1024;
  static constexpr std::size_t memory_bound = 64 * 1024;

  /// `budget`: null for none; it outlives the body.
  explicit StoredBody(MemoryBudget* budget = nullptr) : share_(budget) {}

  /// Adds all of `bytes`, or nothing if the file cannot take them.
  std::error_code add(std::string_view bytes, const std::shared_ptr<Spool>& spool);
  /// The same without a file, beyond the bound.
  void add_to_memory(std::string_view bytes);
  /// Bytes added.
  std::uint64_t size() const { return size_; }

  /// All has been taken.
  bool empty() const { return !file_ && memory_.empty(); }
  bool next_is_in_file() const { return file_ != nullptr; }
  /// Replaces `block` by the next bytes. An error: they cannot be read back. Of a file that is used
  /// up with them, release_file() is due; take() itself changes nothing that empty() looks at then.
  std::error_code take(std::string& block);
  /// The file, if all of it was taken: giving its space back may take a while.
  std::unique_ptr<SpoolFile> release_file();

  /// Bytes of memory that are held.
  std::size_t memory() const { return memory_.capacity(); }
  /// As good as new, but for a capacity of up to `kept`.
  void clear(std::size_t kept);

 private:
  bool has_room_for(std::size_t more);
  void free_memory();

  std::string memory_;
  BodyShare share_;                  // of what memory_ is larger than memory_bound
  std::unique_ptr<SpoolFile> file_;  // null: none was needed, or all of it was taken
  std::uint64_t size_ = 0;
  std::uint64_t taken_ = 0;  // of the file
};

}  // namespace prowingen
