#if defined(__linux__)
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "event_loop/poller.h"

namespace prowingen {
namespace {

constexpr std::size_t events_per_wait = 256;
constexpr std::uint64_t wake_key = ~std::uint64_t{0};

std::uint32_t to_epoll(Interest interest) {
  return (includes(interest, Interest::read) ? EPOLLIN : 0U) |
         (includes(interest, Interest::write) ? EPOLLOUT : 0U);
}

int to_milliseconds(std::chrono::nanoseconds timeout) {
  return static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(timeout).count());
}

}  // namespace

EpollPoller::EpollPoller()
    : epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      wake_event_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      events_(events_per_wait) {
  epoll_event event{};
  // Edge-triggered: every write is an event, and the counter never has to be read.
  event.events = EPOLLIN | EPOLLET;
  event.data.u64 = wake_key;
  if (epoll_.get() < 0 || wake_event_.get() < 0 ||
      ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_event_.get(), &event) != 0) {
    throw std::system_error(errno, std::generic_category(), "cannot make an event loop");
  }
}

bool EpollPoller::control(int operation, int descriptor, Interest interest, std::uint64_t key) {
  epoll_event event{};
  event.events = to_epoll(interest);
  event.data.u64 = key;
  return ::epoll_ctl(epoll_.get(), operation, descriptor, &event) == 0;
}

bool EpollPoller::add(int descriptor, Interest interest, std::uint64_t key) {
  return control(EPOLL_CTL_ADD, descriptor, interest, key);
}

bool EpollPoller::change(int descriptor, Interest interest, std::uint64_t key) {
  return control(EPOLL_CTL_MOD, descriptor, interest, key);
}

void EpollPoller::remove(int descriptor) {
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, descriptor, nullptr);
}

std::span<const ReadyEvent> EpollPoller::wait(std::chrono::nanoseconds timeout) {
  ready_.clear();
  const int count = ::epoll_wait(epoll_.get(), events_.data(), static_cast<int>(events_.size()),
                                 to_milliseconds(timeout));
  for (int i = 0; i < count; ++i) {
    const auto& event = events_[static_cast<std::size_t>(i)];
    if (event.data.u64 == wake_key) continue;
    const auto ready = ((event.events & EPOLLIN) != 0 ? Interest::read : Interest::none) |
                       ((event.events & EPOLLOUT) != 0 ? Interest::write : Interest::none);
    ready_.push_back({event.data.u64, ready, (event.events & (EPOLLERR | EPOLLHUP)) != 0});
  }
  return ready_;
}

void EpollPoller::wake() {
  const std::uint64_t one = 1;
  // It fails only when the counter is full, and then the event is there already.
  [[maybe_unused]] const auto written = ::write(wake_event_.get(), &one, sizeof one);
}

}  // namespace prowingen
#endif
