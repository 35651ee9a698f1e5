// A table of path prefixes, each with a value: that of the longest one wins.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/exchange.h"
#include "http/request_target.h"

namespace prowingen {

/// A prefix as it is written in an option: percent-encoded, with or without a slash at its end.
inline std::string plain_prefix(std::string_view written) {
  std::string buffer;
  auto prefix = percent_decode(written, buffer);
  while (prefix.ends_with('/')) prefix.remove_suffix(1);
  return std::string(prefix);
}

/// Constant once it is made; any thread.
template <typename Value>
class Prefixes {
 public:
  struct Entry {
    std::string prefix;  // decoded, without a slash at its end; empty: every path's
    Value value;
  };

  Prefixes() = default;
  explicit Prefixes(std::vector<Entry> entries) : entries_(std::move(entries)) {
    std::ranges::sort(entries_, [](const Entry& one, const Entry& other) {
      return one.prefix.size() > other.prefix.size();
    });
    reads_paths_ = !entries_.empty() && !entries_.front().prefix.empty();
  }

  const std::vector<Entry>& entries() const { return entries_; }

  /// The entry whose prefix a request's path is, or is beneath; null: none. The path is the one
  /// that the application is given.
  const Entry* find(const Exchange& exchange) const {
    if (!reads_paths_) return entries_.empty() ? nullptr : &entries_.front();
    const auto written = exchange.request.target();
    const bool plain = written.starts_with('/') && written.find('%') == std::string_view::npos;
    if (plain && !exchange.peer->forwarded) return find(written.substr(0, written.find('?')));
    std::string buffer;
    const auto target = split_target(written);
    return find(application_path(exchange, percent_decode(target.path, buffer)));
  }

  const Entry* find(std::string_view path) const {
    const auto found = std::ranges::find_if(entries_, [&](const Entry& entry) {
      const auto size = entry.prefix.size();
      return path.starts_with(entry.prefix) &&
             (size == 0 || path.size() == size || path[size] == '/');
    });
    return found == entries_.end() ? nullptr : &*found;
  }

 private:
  std::vector<Entry> entries_;  // the longest prefix first
  bool reads_paths_ = false;
};

}  // namespace prowingen
