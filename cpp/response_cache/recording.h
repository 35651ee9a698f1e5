// An answer as it leaves, written down to be kept if it turns out to be whole. On its worker.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "core/chunk.h"
#include "core/exchange.h"
#include "response_cache/entry.h"
#include "response_cache/key.h"

namespace prowingen::response_cache {

class Recording {
 public:
  /// Of an exchange whose answer's head is settled, and not sent yet. Null: the answer may not be
  /// kept, or is known to be longer than `most`. `dates`: it is sent with a Date, which is settled
  /// here, so that all who get it get the same.
  static std::unique_ptr<Recording> begin(Exchange& exchange, std::uint64_t most, bool dates);

  /// The next piece of the body. False: it is not kept after all.
  bool add(const Chunk& chunk);
  /// That was the last one. Null: it is not what its head has announced.
  std::unique_ptr<Entry> finish();
  const FieldNames& varies() const { return varies_; }

 private:
  explicit Recording(std::uint64_t most) : most_(most) {}

  const std::uint64_t most_;
  std::unique_ptr<Entry> entry_ = std::make_unique<Entry>();
  FieldNames varies_;
  std::optional<std::uint64_t> announced_;
};

}  // namespace prowingen::response_cache
