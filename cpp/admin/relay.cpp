#include "admin/relay.h"

#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "admin/relays.h"
#include "core/native_answer.h"

namespace prowingen::admin {
namespace {

constexpr SteadyTime at_once{};
constexpr std::size_t high_water = std::size_t{64} * 1024;
// What the control socket gives its peers, too.
constexpr std::chrono::seconds reading_time{5};
constexpr std::chrono::seconds first_line_time{10};

constexpr Refusal too_long{413, "Content Too Large", "a question has 4096 octets at most", ""};
constexpr Refusal too_late{408, "Request Timeout", "the question is not whole within 5 seconds",
                           ""};
constexpr Refusal no_answer{504, "Gateway Timeout",
                            "the process that answers has said nothing for 10 seconds", ""};
constexpr Refusal not_taken{503, "Service Unavailable",
                            "the process that answers takes no more questions now", ""};
constexpr Refusal ends{503, "Service Unavailable", "the process that answers has hung up", ""};

}  // namespace

Relay::Relay(Relays& relays, std::shared_ptr<Exchange> exchange, std::string question)
    : relays_(relays),
      exchange_(std::move(exchange)),
      question_(std::move(question)),
      deadline_(std::chrono::steady_clock::now() + reading_time) {}

void Relay::on_change() {
  if (!scheduled_.exchange(true)) relays_.schedule(shared_from_this());
}

void Relay::pump() {
  scheduled_ = false;
  try {
    move();
  } catch (const std::exception&) {  // no memory: it is the client's loss, and not the process's
    cut();
  }
}

void Relay::move() {
  if (state_ == State::over) return;
  if (exchange_->cut()) return end();
  if (state_ == State::asking) question_.empty() ? read_content() : ask(std::move(question_));
  if (state_ == State::waiting || state_ == State::telling) read_answer();
  if (state_ != State::over) want();
}

void Relay::look(SteadyTime now) {
  if (state_ == State::over) return;
  if (state_ != State::telling && now >= deadline_) {
    return refuse(state_ == State::asking ? too_late : no_answer);
  }
  exchange_->doubt_client();
}

void Relay::read_content() {
  std::string piece;
  while (state_ == State::asking) {
    switch (exchange_->read_body(piece, at_once)) {
      case Exchange::Read::bytes:
        content_ += piece;
        if (content_.size() > 2 * longest_question) return refuse(too_long);
        break;
      case Exchange::Read::end: {
        auto question = as_question(content_);
        std::string().swap(content_);
        return question ? ask(std::move(*question)) : refuse(too_long);
      }
      case Exchange::Read::timed_out: return;
      case Exchange::Read::departed:
      case Exchange::Read::failed: return cut();
    }
  }
}

void Relay::ask(std::string question) {
  auto connection = relays_.door().connect();
  if (!connection) return refuse(not_taken);
  socket_ = std::move(*connection);
  kept_ = std::make_unique<KeptFromChildren>(socket_.get());
  // It is empty, and has room for much more.
  const auto sent = ::send(socket_.get(), question.data(), question.size(), send_flags);
  if (sent != static_cast<ssize_t>(question.size())) return refuse(ends);
  ReadyHandler& handler = *this;
  watch_ = std::make_unique<EventLoop::Watch>(relays_.loop(), socket_.get(), handler);
  state_ = State::waiting;
  deadline_ = std::chrono::steady_clock::now() + first_line_time;
  want();
}

void Relay::read_answer() {
  auto& buffer = relays_.buffer();
  full_ = full_ && exchange_->wait_writable(at_once) == Exchange::Push::full;
  while (state_ != State::over && !full_) {
    const auto size = ::recv(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return;
    if (size <= 0) return end_answer();
    std::string bytes(buffer.data(), static_cast<std::size_t>(size));
    lines_.add(bytes);
    if (state_ == State::telling) {
      push(std::move(bytes), false);
      continue;
    }
    first_ += bytes;
    if (first_.size() >= status_prefix || first_.back() == '\n') begin_answer();
  }
}

void Relay::begin_answer() {
  state_ = State::telling;
  ResponseHead& head = exchange_->response;
  head.status = status_of(first_);
  head.reason = reason_phrase(head.status);
  head.add_field("Content-Type", "application/x-ndjson");
  head.add_field("Cache-Control", "no-store");
  if (head.status == 503) head.add_field("Retry-After", "1");
  exchange_->response_body = {};
  push(std::exchange(first_, {}), false);
}

void Relay::end_answer() {
  if (state_ == State::waiting) return refuse(ends);
  if (!lines_.is_over()) return cut();
  push({}, true);
  end();
}

void Relay::push(std::string bytes, bool last) {
  const auto outcome = exchange_->push(Chunk(std::move(bytes)), high_water, last);
  full_ = outcome == Exchange::Push::full;
  if (outcome == Exchange::Push::departed) end();
}

void Relay::want() {
  if (!watch_) return;
  if (!watch_->want(full_ ? Interest::none : Interest::read)) cut();
}

void Relay::refuse(const Refusal& refusal) {
  if (!exchange_->cut()) {
    send_refusal(*exchange_, refusal);
    exchange_->close_input();
  }
  end();
}

void Relay::cut() {
  if (state_ == State::over) return;
  if (!exchange_->cut()) exchange_->abort();
  end();
}

void Relay::end() {
  if (state_ == State::over) return;
  state_ = State::over;
  watch_.reset();
  // A child that is forked just now may have a copy of it.
  if (socket_) ::shutdown(socket_.get(), SHUT_RDWR);
  kept_.reset();
  socket_.reset();
  exchange_->unwatch(*this);
}

}  // namespace prowingen::admin
