#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>

#include "event_loop/poller.h"

namespace prowingen {
namespace {

short to_poll(Interest interest) {
  return static_cast<short>((includes(interest, Interest::read) ? POLLIN : 0) |
                            (includes(interest, Interest::write) ? POLLOUT : 0));
}

}  // namespace

PollPoller::PollPoller() {
  std::array<int, 2> ends{};
  if (::pipe(ends.data()) != 0) {
    throw std::system_error(errno, std::generic_category(), "cannot make an event loop");
  }
  wake_reader_ = UniqueFd(ends[0]);
  wake_writer_ = UniqueFd(ends[1]);
  for (const int end : ends) {
    ::fcntl(end, F_SETFL, O_NONBLOCK);
    ::fcntl(end, F_SETFD, FD_CLOEXEC);
  }
  descriptors_.push_back({wake_reader_.get(), POLLIN, 0});
  keys_.push_back(0);
}

bool PollPoller::add(int descriptor, Interest interest, std::uint64_t key) {
  descriptor_at_[descriptor] = descriptors_.size();
  descriptors_.push_back({descriptor, to_poll(interest), 0});
  keys_.push_back(key);
  return true;
}

bool PollPoller::change(int descriptor, Interest interest, std::uint64_t key) {
  const std::size_t index = descriptor_at_.at(descriptor);
  descriptors_[index].events = to_poll(interest);
  keys_[index] = key;
  return true;
}

void PollPoller::remove(int descriptor) {
  const auto found = descriptor_at_.find(descriptor);
  if (found == descriptor_at_.end()) return;
  const std::size_t index = found->second;
  descriptor_at_.erase(found);
  if (index + 1 != descriptors_.size()) {
    descriptors_[index] = descriptors_.back();
    keys_[index] = keys_.back();
    descriptor_at_[descriptors_[index].fd] = index;
  }
  descriptors_.pop_back();
  keys_.pop_back();
}

std::span<const ReadyEvent> PollPoller::wait(std::chrono::nanoseconds timeout) {
  ready_.clear();
  const auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(timeout);
  const int count = ::poll(descriptors_.data(), static_cast<nfds_t>(descriptors_.size()),
                           static_cast<int>(milliseconds.count()));
  if (count <= 0) return ready_;
  if (descriptors_[0].revents != 0) {
    std::array<char, 64> bytes{};
    while (::read(wake_reader_.get(), bytes.data(), bytes.size()) > 0) {
    }
  }
  for (std::size_t i = 1; i < descriptors_.size(); ++i) {
    const auto events = descriptors_[i].revents;
    if (events == 0) continue;
    const auto ready = ((events & POLLIN) != 0 ? Interest::read : Interest::none) |
                       ((events & POLLOUT) != 0 ? Interest::write : Interest::none);
    ready_.push_back({keys_[i], ready, (events & (POLLERR | POLLHUP | POLLNVAL)) != 0});
  }
  return ready_;
}

void PollPoller::wake() {
  // It fails only when the pipe is full, and then the event is there already.
  [[maybe_unused]] const auto written = ::write(wake_writer_.get(), "", 1);
}

}  // namespace prowingen
