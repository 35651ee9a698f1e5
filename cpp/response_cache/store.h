// The entries, by what they are found by, in bounded memory: what has not been asked for for
// longest goes first.
//
//   uri -> Group: names of fields that its answers vary by -> what a request says there -> Entry
//
// All answers of one URI vary by the same fields: by all that any of them has named. So there is
// one place to look at for each request, however many there are.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "response_cache/entry.h"
#include "response_cache/key.h"

namespace prowingen::response_cache {

/// Any thread. Nothing waits, or is freed, with the lock held.
class Store {
 public:
  using EntryPointer = std::shared_ptr<const Entry>;

  struct Counters {
    std::uint64_t stored = 0;
    std::uint64_t evicted = 0;  // for others' sake
    std::uint64_t bytes = 0;
    std::size_t entries = 0;
  };

  explicit Store(std::uint64_t limit) : limit_(limit) {}

  /// Null: there is none. One that is over goes.
  EntryPointer find(const std::string& uri, const RequestHead& request, SteadyTime now);
  /// Keeps it in place of what answered such requests so far. It is not kept if it is too large,
  /// varies by too much, or is older than what is known: a request after its own has been answered
  /// by now, or has changed what is there. `varies`: what its answer does by.
  void keep(std::unique_ptr<Entry> entry, const RequestHead& request, const FieldNames& varies);
  /// What is there has changed (RFC 9111 section 4.4).
  void remove(const std::string& uri);
  /// This one alone, if it is there still.
  void remove(const Entry& entry);
  Counters counters() const;

 private:
  struct Node;
  using Nodes = std::list<Node>;
  struct Group {
    FieldNames names;
    std::unordered_map<std::string_view, Nodes::iterator> entries;
  };
  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;
  };
  using Groups = std::unordered_map<std::string, Group, Hash, std::equal_to<>>;
  struct Node {
    EntryPointer entry;
    Groups::value_type* group;
  };

  SteadyTime& changed_at(const std::string& uri) {
    return changed_at_[std::hash<std::string>()(uri) % changed_at_.size()];
  }
  // With the lock; what is taken out is freed without it.
  void take_out(Nodes::iterator node, Nodes& gone);
  void take_out_all(Group& group, Nodes& gone);
  void drop_if_empty(const std::string& uri);

  const std::uint64_t limit_;
  mutable std::mutex mutex_;  // guards all below
  Nodes nodes_;               // who was asked for last is first
  Groups groups_;
  Counters counters_;
  // When a URI was changed last, or another one of the same place.
  std::array<SteadyTime, 1024> changed_at_{};
};

}  // namespace prowingen::response_cache
