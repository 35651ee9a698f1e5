#include "websocket_client.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace websocket_load {
namespace {

// The example of RFC 6455 section 1.3: with it the answer is known, and no SHA-1 needed.
constexpr std::string_view handshake_key = "dGhlIHNhbXBsZSBub25jZQ==";
constexpr std::string_view handshake_accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

std::string errno_text(const char* what) { return std::string(what) + ": " + std::strerror(errno); }

}  // namespace

void Client::connect(const Target& target, unsigned source) {
  target_ = &target;
  state_ = State::connecting;
  socket_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (socket_ < 0) return fail(errno_text("socket"));
  const int on = 1;
  setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if ((ntohl(target.address.sin_addr.s_addr) >> 24) == 127) {
    sockaddr_in from{};
    from.sin_family = AF_INET;
    from.sin_addr.s_addr = htonl((127U << 24) + source);
    // The port is chosen when the other end is known, so that one serves for several of these.
    setsockopt(socket_, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (bind(socket_, reinterpret_cast<const sockaddr*>(&from), sizeof from) != 0)
      return fail(errno_text("bind"));
  }
  const auto* address = reinterpret_cast<const sockaddr*>(&target.address);
  if (::connect(socket_, address, sizeof target.address) != 0 && errno != EINPROGRESS)
    fail(errno_text("connect"));
}

void Client::end() {
  if (socket_ >= 0) close(socket_);
  socket_ = -1;
  state_ = State::closed;
}

void Client::fail(std::string why) {
  if (failure_.empty()) failure_ = std::move(why);
  end();
}

void Client::upgrade() {
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(socket_, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) return fail(std::string("connect: ") + std::strerror(error));
  state_ = State::upgrading;
  std::string request = "GET " + target_->path + " HTTP/1.1\r\nHost: " + target_->host;
  request += "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13";
  request.append("\r\nSec-WebSocket-Key: ").append(handshake_key).append("\r\n\r\n");
  write(request);
}

void Client::ready(std::uint32_t events, std::vector<char>& buffer, const OnMessage& on_message) {
  if (state_ == State::connecting) return upgrade();
  if ((events & EPOLLOUT) != 0) flush();
  if ((events & ~static_cast<std::uint32_t>(EPOLLOUT)) == 0 || state_ == State::closed) return;
  while (receive(buffer, on_message)) {
  }
}

// Whether there may be more: what is not looked at is taken in reads of its own.
bool Client::receive(std::vector<char>& buffer, const OnMessage& on_message) {
  const std::size_t unseen = unseen_payload();
  const ssize_t size =
      unseen > 0 ? recv(socket_, nullptr, unseen, MSG_TRUNC)
                 : recv(socket_, buffer.data(), std::min(buffer.size(), target_->read_size), 0);
  if (size < 0) {
    if (errno != EAGAIN && errno != EINTR) fail(errno_text("recv"));
    return false;
  }
  if (size == 0) {
    fail("the server has closed the connection");
    return false;
  }
  const auto taken = static_cast<std::size_t>(size);
  if (unseen > 0) {
    left_ -= taken;
    message_.length += taken;
    return taken == unseen;
  }
  std::string_view octets(buffer.data(), taken);
  if (state_ == State::upgrading) octets = read_answer(octets);
  if (state_ == State::open) read_frames(octets, on_message);
  return state_ == State::open && unseen_payload() > 0;
}

// How much comes before the last octets of a payload, the first of which are known.
std::size_t Client::unseen_payload() const {
  const bool is_control = (head_[0] & 8) != 0;
  if (!in_payload_ || is_control || message_.length < edge_size || left_ <= edge_size) return 0;
  return left_ - edge_size;
}

// What is behind the answer's head: frames may come with it.
std::string_view Client::read_answer(std::string_view octets) {
  const std::size_t before = answer_.size();
  answer_ += octets;
  const std::size_t end = answer_.find("\r\n\r\n");
  if (end == std::string::npos) {
    if (answer_.size() > 16384) fail("handshake: an endless head");
    return {};
  }
  std::string head = answer_.substr(0, end + 2);
  answer_ = {};
  octets.remove_prefix(end + 4 - before);
  const bool accepted = head.find(handshake_accept) != std::string::npos;
  if (!head.starts_with("HTTP/1.1 101") || !accepted) {
    fail("handshake: " + head.substr(0, head.find("\r\n")));
    return {};
  }
  std::transform(head.begin(), head.end(), head.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
  if (head.find("\r\nsec-websocket-extensions:") != std::string::npos) {
    fail("handshake: an extension that was not asked for");
    return {};
  }
  state_ = State::open;
  return octets;
}

std::size_t Client::read_head(std::string_view octets) {
  std::size_t used = 0;
  const auto want = [this] {
    if (head_size_ < 2) return std::size_t{2};
    const int size = head_[1] & 127;
    return size == 127 ? std::size_t{10} : size == 126 ? std::size_t{4} : std::size_t{2};
  };
  while (used < octets.size() && head_size_ < want())
    head_[head_size_++] = static_cast<unsigned char>(octets[used++]);
  if (head_size_ < want()) return used;

  left_ = head_[1] & 127;
  if (left_ > 125) {
    left_ = 0;
    for (std::size_t at = 2; at < head_size_; ++at) left_ = (left_ << 8) | head_[at];
  }
  in_payload_ = true;
  const auto opcode = static_cast<Opcode>(head_[0] & 15);
  if ((head_[0] & 0x70) != 0 || (head_[1] & 0x80) != 0) {
    fail("a frame with reserved bits or a mask");
  } else if (opcode == Opcode::text || opcode == Opcode::binary) {
    if (in_message_) fail("a message within another");
    in_message_ = true;
    message_ = {};
    message_.opcode = opcode;
  } else if (opcode == Opcode::continuation) {
    if (!in_message_) fail("a continuation of nothing");
  } else if (left_ > 125) {
    fail("a control frame that is too long");
  } else {
    control_.clear();
  }
  return used;
}

void Client::take_payload(std::string_view octets) {
  left_ -= octets.size();
  if ((head_[0] & 8) != 0) {
    control_ += octets;
    return;
  }
  for (std::size_t at = 0; at < octets.size() && message_.length + at < edge_size; ++at)
    message_.first[message_.length + at] = octets[at];
  const std::size_t skipped = octets.size() > edge_size ? octets.size() - edge_size : 0;
  for (std::size_t at = skipped; at < octets.size(); ++at)
    message_.last[(message_.length + at) % edge_size] = octets[at];
  message_.length += octets.size();
}

void Client::end_frame(const OnMessage& on_message) {
  in_payload_ = false;
  head_size_ = 0;
  const bool final = (head_[0] & 0x80) != 0;
  switch (static_cast<Opcode>(head_[0] & 15)) {
    case Opcode::continuation:
    case Opcode::text:
    case Opcode::binary:
      if (!final) return;
      in_message_ = false;
      on_message(*this, message_);
      return;
    case Opcode::ping: send(Opcode::pong, control_); return;
    case Opcode::pong: return;
    case Opcode::close: {
      unsigned code = 1005;  // section 7.1.5: none was given
      if (control_.size() >= 2)
        code = static_cast<unsigned char>(control_[0]) * 256U +
               static_cast<unsigned char>(control_[1]);
      fail("the server has closed the WebSocket with " + std::to_string(code));
      return;
    }
  }
  fail("a frame of an unknown kind");
}

void Client::read_frames(std::string_view octets, const OnMessage& on_message) {
  while (state_ == State::open) {
    if (!in_payload_) {
      if (octets.empty()) return;
      octets.remove_prefix(read_head(octets));
      if (!in_payload_ || state_ != State::open) return;
    }
    const std::size_t size = std::min<std::uint64_t>(octets.size(), left_);
    take_payload(octets.substr(0, size));
    octets.remove_prefix(size);
    if (left_ != 0) return;
    end_frame(on_message);
  }
}

std::string masked_frame(Opcode opcode, std::string_view payload) {
  std::string frame;
  frame += static_cast<char>(0x80 | static_cast<int>(opcode));
  const std::uint64_t size = payload.size();
  const int octets = size < 126 ? 0 : size < 65536 ? 2 : 8;
  frame += static_cast<char>(0x80 | (octets == 0   ? static_cast<int>(size)
                                     : octets == 2 ? 126
                                                   : 127));
  for (int at = octets - 1; at >= 0; --at) frame += static_cast<char>(size >> (8 * at) & 255);
  frame.append(mask.data(), mask.size());
  const std::size_t start = frame.size();
  frame += payload;
  for (std::size_t at = 0; at < payload.size(); ++at) frame[start + at] ^= mask[at % mask.size()];
  return frame;
}

void Client::send(Opcode opcode, std::string_view payload) { write(masked_frame(opcode, payload)); }

void Client::write(std::string_view octets) {
  if (state_ == State::closed) return;
  if (unsent_.empty()) {
    const ssize_t sent = ::send(socket_, octets.data(), octets.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) return fail(errno_text("send"));
    if (sent > 0) octets.remove_prefix(static_cast<std::size_t>(sent));
  }
  unsent_ += octets;
}

void Client::flush() {
  std::string waiting = std::move(unsent_);
  unsent_.clear();
  write(waiting);
}

}  // namespace websocket_load
