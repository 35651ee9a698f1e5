// One WebSocket from the client's side (RFC 6455), non-blocking, driven by whoever polls its
// socket.
//
//   connecting ──▶ upgrading ──▶ open ──▶ closed
//        └──────────────┴────────────────────▲   any failure; `failure()` says which
//
// Nothing that comes is kept: of a message there are its opcode, its length, and its first and last
// octets, which is what tells an answer of one's own from any other; what is between them is not
// even copied out of the kernel (tcp(7), MSG_TRUNC). Frames go out under one mask, which is what a
// server has to take off as any other; pings are answered. Not a client for the world: no names, no
// TLS, no extensions, no UTF-8 looked at.
#pragma once

#include <netinet/in.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace websocket_load {

enum class Opcode : std::uint8_t {
  continuation = 0,
  text = 1,
  binary = 2,
  close = 8,
  ping = 9,
  pong = 10,
};

constexpr std::size_t edge_size = 8;
using Edge = std::array<char, edge_size>;

struct Message {
  Opcode opcode = Opcode::text;
  std::uint64_t length = 0;
  Edge first{};  // of a message that is shorter, the rest are zeros
  Edge last{};   // in a ring: octet n is at n modulo its size
};

struct Target {
  sockaddr_in address{};
  std::string host;
  std::string path = "/";
  // Octets that one read takes: many for small messages, of which several may have come; few for
  // large ones, of which no more than a head and the first octets are looked at.
  std::size_t read_size = 256 * 1024;
};

constexpr std::array<char, 4> mask{'\x37', '\x5a', '\x21', '\x6d'};

// The whole message in one frame.
std::string masked_frame(Opcode opcode, std::string_view payload);

class Client;
using OnMessage = std::function<void(Client&, const Message&)>;

class Client {
 public:
  enum class State : std::uint8_t { connecting, upgrading, open, closed };

  explicit Client(std::size_t index) : index_(index) {}
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client() { end(); }

  // From 127.0.0.`source` where the target is on loopback: one address has too few ports for many.
  void connect(const Target& target, unsigned source);
  void end();

  // What epoll reported. `on_message` is called for each message that is complete.
  void ready(std::uint32_t events, std::vector<char>& buffer, const OnMessage& on_message);

  // What the socket does not take now goes out later.
  void send(Opcode opcode, std::string_view payload);
  void write(std::string_view frame);

  std::size_t index() const { return index_; }
  State state() const { return state_; }
  int descriptor() const { return socket_; }
  bool wants_to_write() const { return state_ == State::connecting || !unsent_.empty(); }
  const std::string& failure() const { return failure_; }

 private:
  void fail(std::string why);
  void upgrade();
  void flush();
  bool receive(std::vector<char>& buffer, const OnMessage& on_message);
  std::size_t unseen_payload() const;

  std::string_view read_answer(std::string_view octets);
  void read_frames(std::string_view octets, const OnMessage& on_message);
  std::size_t read_head(std::string_view octets);
  void take_payload(std::string_view octets);
  void end_frame(const OnMessage& on_message);

  std::size_t index_;
  int socket_ = -1;
  State state_ = State::closed;
  const Target* target_ = nullptr;
  std::string answer_;  // the handshake's, as far as it has come
  std::string unsent_;
  std::string failure_;

  // The frame that is being read.
  std::array<unsigned char, 10> head_{};
  std::size_t head_size_ = 0;
  bool in_payload_ = false;
  std::uint64_t left_ = 0;
  std::string control_;  // payload of a control frame

  bool in_message_ = false;  // it has begun, and not ended
  Message message_;
};

}  // namespace websocket_load
