#include "engine_embedded/listener.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstring>
#include <numeric>
#include <system_error>

#include "engine_embedded/socket_ops.h"
#include "processes/accept_share.h"

namespace prowingen::embedded {
namespace {

using std::chrono::milliseconds;

// Connections taken in one turn, so that a flood of them leaves time for the ones there are.
constexpr int accepts_per_turn = 64;
constexpr milliseconds exhausted_pause{100};
constexpr milliseconds full_pause{20};

void name_end(const sockaddr_storage& address, std::string& host, std::string& port) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (address.ss_family == AF_INET) {
    sockaddr_in v4;
    std::memcpy(&v4, &address, sizeof v4);
    host = ::inet_ntop(AF_INET, &v4.sin_addr, text.data(), text.size());
    port = std::to_string(ntohs(v4.sin_port));
  } else if (address.ss_family == AF_INET6) {
    sockaddr_in6 v6;
    std::memcpy(&v6, &address, sizeof v6);
    host = ::inet_ntop(AF_INET6, &v6.sin6_addr, text.data(), text.size());
    port = std::to_string(ntohs(v6.sin6_port));
  }  // a Unix socket's peer has no name
}

void name_own_end(int socket, std::string& host, std::string& port) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) == 0) {
    name_end(address, host, port);
  }
}

}  // namespace

Listener::Listener(const EngineContext& context, IoThreads& threads, ListenerSpec spec,
                   unsigned index)
    : context_(context),
      threads_(threads),
      socket_(std::move(spec.socket)),
      kept_(socket_.get()),
      watch_(threads.front()->loop(), socket_.get(), *this),
      retry_timer_(threads.front()->loop(), [this] { resume(); }),
      description_(std::move(spec.description)),
      index_(index) {
  prepare_listener(socket_.get());
  name_own_end(socket_.get(), local_address_, local_port_);
}

void Listener::start() {
  if (!watch_.want(Interest::read)) {
    throw std::system_error(errno, std::generic_category(), description_ + ": cannot listen");
  }
}

void Listener::close() {
  if (!socket_) return;
  while (accept_some()) {
  }
  retry_timer_.cancel();
  watch_.remove();
  kept_.end();
  socket_.reset();
}

void Listener::resume() {
  if (!watch_.want(Interest::read)) pause(exhausted_pause);
}

void Listener::pause(milliseconds time) {
  // Nothing is registered anew by wanting less, so this cannot fail.
  static_cast<void>(watch_.want(Interest::none));
  retry_timer_.arm(std::chrono::steady_clock::now() + time);
}

// False: there is nothing more to accept now.
bool Listener::accept_some() {
  for (int i = 0; i < accepts_per_turn; ++i) {
    const auto open = std::accumulate(
        threads_.begin(), threads_.end(), std::size_t{0},
        [](std::size_t sum, const auto& thread) { return sum + thread->open_connections(); });
    if (open >= context_.options.max_connections) {
      pause(full_pause);  // the kernel's backlog holds them meanwhile
      return false;
    }
    if (context_.accept_share != nullptr) {
      if (const auto turn = context_.accept_share->others_first(open); turn.count() != 0) {
        pause(turn);
        return false;
      }
    }
    Accepted accepted = accept_connection(socket_.get());
    switch (accepted.error) {
      case 0:
        reported_exhaustion_ = false;
        hand_over(accepted);
        break;
      case ECONNABORTED:
      case EINTR:
      case EPROTO: break;
      case EMFILE:
      case ENFILE:
      case ENOBUFS:
      case ENOMEM:
        if (!std::exchange(reported_exhaustion_, true)) {
          context_.report(Severity::error,
                          description_ + ": cannot accept connections: " +
                              std::generic_category().message(accepted.error) +
                              "; they wait until others close (raise `ulimit -n` or lower "
                              "max_connections)");
        }
        pause(exhausted_pause);
        return false;
      default:
        if (accepted.error != EAGAIN && accepted.error != EWOULDBLOCK) {
          context_.report(Severity::error, description_ + ": accept: " +
                                               std::generic_category().message(accepted.error));
          pause(exhausted_pause);
        }
        return false;
    }
  }
  return true;
}

void Listener::hand_over(Accepted& connection) {
  accepted_.fetch_add(1, std::memory_order_relaxed);
  auto info = std::make_shared<ConnectionInfo>();
  name_end(connection.peer, info->remote_address, info->remote_port);
  if (local_address_ == "0.0.0.0" || local_address_ == "::") {
    // Bound to every address: which one it was, only the connection knows.
    name_own_end(connection.socket.get(), info->local_address, info->local_port);
  } else {
    info->local_address = local_address_;
    info->local_port = local_port_;
  }
  auto& thread = *threads_[next_thread_];
  next_thread_ = (next_thread_ + 1) % threads_.size();
  thread.adopt(std::move(connection.socket), index_, std::move(info));
}

}  // namespace prowingen::embedded
