// One answer as it is kept: what left the server, and how long it may be given again. Nothing of it
// changes; a newer one takes its place.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <ctime>
#include <string>

#include "core/exchange.h"
#include "http/message.h"
#include "response_cache/storability.h"

namespace prowingen::response_cache {

struct Entry {
  std::string uri;       // uri_key()
  std::string selected;  // selected_by(), of the request that it was made for
  ResponseHead head;     // with its Date, and without its Age
  bool has_length = false;
  ResponseHead not_modified;  // what of the head goes with a 304
  std::string body;
  std::string entity_tag;  // empty: none
  std::time_t modified = 0;
  Lifetime lifetime;
  SteadyTime asked_at;  // when the application was given the request
  SteadyTime made_at;   // when its head left it
  /// It is being asked for anew.
  mutable std::atomic<bool> is_asked_for{false};

  std::chrono::seconds age(SteadyTime now) const {
    return lifetime.age + std::chrono::duration_cast<std::chrono::seconds>(now - made_at);
  }
  bool is_fresh(SteadyTime now) const { return age(now) < lifetime.fresh; }
  bool is_over(SteadyTime now) const { return age(now) >= lifetime.fresh + lifetime.stale; }

  /// About what it takes, with what it is found by.
  std::size_t memory() const {
    constexpr std::size_t nodes = 256;  // of the maps and the list
    return sizeof(Entry) + nodes + 2 * uri.size() + selected.size() + head.memory() +
           not_modified.memory() + body.size();
  }
};

}  // namespace prowingen::response_cache
