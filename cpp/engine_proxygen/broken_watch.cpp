#include "engine_proxygen/broken_watch.h"

#if defined(__linux__)

#include <sys/epoll.h>

#include <array>

namespace prowingen::proxygen_engine {

void BrokenWatch::add(px::HTTPSessionBase& session, int socket) {
  if (!epoll_) {
    epoll_ = UniqueFd(::epoll_create1(EPOLL_CLOEXEC));
    if (!epoll_) return;  // there are no more descriptors: it is noticed with the next write
    kept_.emplace(epoll_.get());
    initHandler(&loop_, folly::NetworkSocket::fromFd(epoll_.get()));
  }
  // It keeps no loop going.
  if (!isHandlerRegistered()) registerInternalHandler(READ | PERSIST);
  epoll_event wanted{};
  wanted.events = EPOLLET;
  wanted.data.ptr = &session;
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, socket, &wanted);
}

// What is left is told in the loop's next turn.
void BrokenWatch::handlerReady(std::uint16_t) noexcept {
  std::array<epoll_event, 64> ready;
  const int count = ::epoll_wait(epoll_.get(), ready.data(), static_cast<int>(ready.size()), 0);
  for (int i = 0; i < count; ++i) {
    tell_(static_cast<px::HTTPSessionBase*>(ready[static_cast<std::size_t>(i)].data.ptr));
  }
}

}  // namespace prowingen::proxygen_engine

#else

namespace prowingen::proxygen_engine {

void BrokenWatch::add(px::HTTPSessionBase&, int) {}
void BrokenWatch::handlerReady(std::uint16_t) noexcept {}

}  // namespace prowingen::proxygen_engine

#endif
