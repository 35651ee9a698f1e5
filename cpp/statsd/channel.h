// A socket by which datagrams go to an address, and which never waits for whoever reads them.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "core/chunk.h"
#include "core/forks.h"
#include "processes/push_ledger.h"
#include "statsd/resolver.h"

namespace prowingen::statsd {

/// One thread.
class Channel {
 public:
  using Clock = std::chrono::steady_clock;
  /// A name may mean another address by then.
  static constexpr std::chrono::seconds looks_up_every{60};

  explicit Channel(const Address& address) : resolver_(address) {}

  /// Opens it, if it is not open, and looks the address up when that is due. False: fault() says
  /// why it is not.
  bool open(Clock::time_point now);
  /// The same, and waits for so long for the address.
  bool open(Clock::time_point now, std::chrono::milliseconds patience);
  PushLedger::Sent send(std::string_view datagram);
  /// The system's reason for the last thing that went wrong.
  const std::string& fault() const { return fault_; }

 private:
  bool connect(const Endpoint& endpoint);
  void close();
  PushLedger::Sent failed(int error);

  Resolver resolver_;
  std::optional<Clock::time_point> looked_up_;
  std::size_t next_ = 0;  // of the endpoints: the last one has refused
  std::optional<Endpoint> endpoint_;
  UniqueFd socket_;
  std::optional<KeptFromChildren> kept_;  // goes before the socket
  std::string fault_;
};

}  // namespace prowingen::statsd
