// Exchanges as an engine and an application make them, for tests of what is kept of them.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/engine.h"
#include "core/exchange.h"
#include "no_transport.h"
#include "response_cache/response_cache.h"

namespace prowingen::response_cache {

using Fields = std::initializer_list<std::pair<std::string_view, std::string_view>>;

inline NoTransport nowhere;

// Takes as many as it has room for.
struct Workers final : RequestSink {
  std::size_t submit(std::span<const std::shared_ptr<Exchange>> exchanges) override {
    const auto count = std::min(exchanges.size(), room);
    for (const auto& each : exchanges.first(count)) {
      each->submit();
      taken.push_back(each);
    }
    return count;
  }
  std::chrono::nanoseconds backlog() const override { return std::chrono::nanoseconds(42); }

  std::size_t room = 100;
  std::vector<std::shared_ptr<Exchange>> taken;
};

inline std::shared_ptr<Exchange> request(std::string_view target, Fields fields = {},
                                         std::string_view method = "GET") {
  auto exchange = std::make_shared<Exchange>(nowhere);
  exchange->request.set_request_line(method, target, {1, 1});
  exchange->request.add_field("Host", "test");
  for (const auto& [name, value] : fields) exchange->request.add_field(name, value);
  exchange->peer = std::make_shared<ConnectionInfo>();
  exchange->taken_at = std::chrono::steady_clock::now();
  return exchange;
}

inline void set_head(Exchange& exchange, Fields fields, int status = 200) {
  exchange.response.status = status;
  exchange.response.reason = "OK";
  for (const auto& [name, value] : fields) exchange.response.add_field(name, value);
  exchange.response_body.length_known = false;
}

/// Has the application answer it, and the answer kept if it may be.
inline bool keep(ResponseCache& cache, Exchange& exchange, Fields fields, std::string body,
                 int status = 200) {
  set_head(exchange, fields, status);
  const auto recording = cache.begin(exchange);
  if (!recording || !recording->add(Chunk(std::move(body)))) return false;
  cache.keep(*recording, exchange);
  return true;
}

}  // namespace prowingen::response_cache
