// Where datagrams for an address go, looked up on a thread of its own where it is a name: that may
// take as long as the system's time limits for name servers.
#pragma once

#include <sys/socket.h>

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "statsd/rules.h"

namespace prowingen::statsd {

struct Endpoint {
  sockaddr_storage address{};
  socklen_t size = 0;
  bool operator==(const Endpoint& other) const;
};

/// One thread, but for what it begins.
class Resolver {
 public:
  explicit Resolver(Address address);
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  /// Looks it up, unless that is being done: at once, or later if it is a name.
  void look_up();
  /// What is known: those of IPv4 first, as most daemons listen there. Empty: nothing yet.
  std::vector<Endpoint> endpoints() const;
  /// Why the last look did not succeed; empty: it did.
  std::string fault() const;
  /// Waits for a look that is being done. False: it goes on.
  bool wait(std::chrono::milliseconds patience) const;

 private:
  // A look may outlive the resolver.
  struct Known {
    std::mutex mutex;  // guards what follows
    std::condition_variable over;
    bool looking = false;
    std::vector<Endpoint> endpoints;
    std::string fault;
  };

  static void look(const std::string& host, const std::string& port, int flags, Known& known);

  const Address address_;
  const std::shared_ptr<Known> known_ = std::make_shared<Known>();
  std::thread thread_;
};

}  // namespace prowingen::statsd
