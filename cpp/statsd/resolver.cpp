#include "statsd/resolver.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <system_error>
#include <utility>

namespace prowingen::statsd {
namespace {

Endpoint unix_endpoint(const std::string& path) {
  Endpoint endpoint;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);  // it has been checked that it fits
  endpoint.size = sizeof(address);
  std::memcpy(&endpoint.address, &address, sizeof(address));
  return endpoint;
}

}  // namespace

bool Endpoint::operator==(const Endpoint& other) const {
  return size == other.size && std::memcmp(&address, &other.address, size) == 0;
}

Resolver::Resolver(Address address) : address_(std::move(address)) {}

Resolver::~Resolver() {
  if (!thread_.joinable()) return;
  // Nothing can break a look off, and nobody waits for it: it has all that it needs.
  if (wait(std::chrono::milliseconds(0))) {
    thread_.join();
  } else {
    thread_.detach();
  }
}

void Resolver::look_up() {
  if (!address_.path.empty()) {
    const std::lock_guard lock(known_->mutex);
    known_->endpoints = {unix_endpoint(address_.path)};
    return;
  }
  {
    const std::lock_guard lock(known_->mutex);
    if (known_->looking) return;
    known_->looking = true;
  }
  if (thread_.joinable()) thread_.join();
  look(address_.host, address_.port, AI_NUMERICHOST, *known_);
  if (!endpoints().empty() && fault().empty()) return;
  {
    const std::lock_guard lock(known_->mutex);
    known_->looking = true;
    known_->fault.clear();  // it was that the name is no address
  }
  try {
    thread_ = std::thread([known = known_, host = address_.host, port = address_.port] {
      look(host, port, 0, *known);
    });
  } catch (const std::system_error& error) {
    const std::lock_guard lock(known_->mutex);
    known_->looking = false;
    known_->fault = error.what();
  }
}

void Resolver::look(const std::string& host, const std::string& port, int flags, Known& known) {
  addrinfo hints{};
  hints.ai_flags = flags | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* found = nullptr;
  const int result = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &found);
  const int error = errno;
  std::vector<Endpoint> endpoints;
  std::ptrdiff_t of_ipv4 = 0;  // which come first, in the order in which they were found
  for (const addrinfo* each = result == 0 ? found : nullptr; each != nullptr;
       each = each->ai_next) {
    Endpoint endpoint;
    endpoint.size = each->ai_addrlen;
    std::memcpy(&endpoint.address, each->ai_addr, each->ai_addrlen);
    const bool first = each->ai_family == AF_INET;
    endpoints.insert(first ? endpoints.begin() + of_ipv4++ : endpoints.end(), endpoint);
  }
  if (result == 0) ::freeaddrinfo(found);
  {
    const std::lock_guard lock(known.mutex);
    known.looking = false;
    known.fault.clear();
    if (result == 0) {
      known.endpoints = std::move(endpoints);
    } else {
      known.fault = result == EAI_SYSTEM ? std::generic_category().message(error)
                                         : std::string(::gai_strerror(result));
    }
  }
  known.over.notify_all();
}

std::vector<Endpoint> Resolver::endpoints() const {
  const std::lock_guard lock(known_->mutex);
  return known_->endpoints;
}

std::string Resolver::fault() const {
  const std::lock_guard lock(known_->mutex);
  return known_->fault;
}

bool Resolver::wait(std::chrono::milliseconds patience) const {
  std::unique_lock lock(known_->mutex);
  return known_->over.wait_for(lock, patience, [&] { return !known_->looking; });
}

}  // namespace prowingen::statsd
