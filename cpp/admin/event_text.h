// What those who watch a server are told, as server-sent events (WHATWG HTML, section 9.2) whose
// data is JSON: docs/admin_page.md has their members one by one.
//
//   retry: 1000                  once, with
//   event: server                what does not change
//   event: figures               ten times a second; counts are cumulative, so that a watcher that
//                                misses some events loses nothing
//   event: slowest               once a second
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "core/exchange.h"
#include "metrics/families.h"
#include "processes/activity.h"

namespace prowingen::admin {

struct ServerFacts {
  std::string_view engine;
  std::uint64_t threads = 1;  // of each process
  bool controls = false;      // POST /-/control does something
};

std::string server_event(const ServerFacts& facts);
/// `ready`: why probes are told that it is not; empty if it is. `picture.doing`: of each worker.
std::string figures_event(const metrics::Picture& picture, SteadyTime now, std::string_view ready);
std::string slowest_event(std::span<const Activity::Slow> slowest, SteadyTime now);

}  // namespace prowingen::admin
