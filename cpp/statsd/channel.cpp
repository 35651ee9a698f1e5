#include "statsd/channel.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace prowingen::statsd {
namespace {

constexpr std::string_view not_known_yet = "its address is being looked up";

std::string text_of(int error) { return std::generic_category().message(error); }

}  // namespace

bool Channel::open(Clock::time_point now) { return open(now, std::chrono::milliseconds(0)); }

bool Channel::open(Clock::time_point now, std::chrono::milliseconds patience) {
  // A closed one has failed: its name may mean another address now.
  const auto every = socket_ ? looks_up_every : std::chrono::seconds(1);
  if (!looked_up_ || now - *looked_up_ >= every) {
    looked_up_ = now;
    resolver_.look_up();
  }
  auto endpoints = resolver_.endpoints();
  if (endpoints.empty() && resolver_.wait(patience)) endpoints = resolver_.endpoints();
  if (endpoints.empty()) {
    fault_ = resolver_.fault();
    if (fault_.empty()) fault_ = not_known_yet;
    return false;
  }
  if (socket_ && std::ranges::find(endpoints, *endpoint_) != endpoints.end()) return true;
  return connect(endpoints[next_ % endpoints.size()]);
}

bool Channel::connect(const Endpoint& endpoint) {
  close();
  socket_.reset(::socket(endpoint.address.ss_family, SOCK_DGRAM, 0));
  const bool made = socket_ && ::fcntl(socket_.get(), F_SETFD, FD_CLOEXEC) == 0 &&
                    ::fcntl(socket_.get(), F_SETFL, O_NONBLOCK) == 0 &&
                    ::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&endpoint.address),
                              endpoint.size) == 0;
  if (!made) {
    failed(errno);
    return false;
  }
  kept_.emplace(socket_.get());
  endpoint_ = endpoint;
  return true;
}

void Channel::close() {
  kept_.reset();
  socket_.reset();
}

PushLedger::Sent Channel::send(std::string_view datagram) {
  if (!socket_) return PushLedger::Sent::not_now;
  const auto sent = ::send(socket_.get(), datagram.data(), datagram.size(), 0);
  return sent >= 0 ? PushLedger::Sent::sent : failed(errno);
}

PushLedger::Sent Channel::failed(int error) {
  fault_ = text_of(error);
  if (error == EMSGSIZE) return PushLedger::Sent::never;
  // Who reads slowly may have room the next time; all else begins anew, perhaps elsewhere.
  const bool full = error == EAGAIN || error == EWOULDBLOCK || error == ENOBUFS || error == EINTR;
  if (!full) {
    ++next_;
    close();
  }
  return PushLedger::Sent::not_now;
}

}  // namespace prowingen::statsd
