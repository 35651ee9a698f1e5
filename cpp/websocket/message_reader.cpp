#include "websocket/message_reader.h"

#include <algorithm>
#include <utility>

namespace prowingen::websocket {
namespace {

Close broken(const char* why) { return {close_code::protocol_error, why}; }
Close too_large() { return {close_code::too_large, "the message is too large"}; }
Close no_utf8() { return {close_code::not_utf8, "the text is not UTF-8"}; }

}  // namespace

std::optional<Close> MessageReader::read(std::string_view& bytes, MessageSink& sink) {
  using enum FrameReader::Step;
  while (state_ != State::closed) {
    const auto step = frames_.next(bytes);
    const Opcode opcode = frames_.head().opcode;
    std::optional<Close> fault;
    switch (step) {
      case need_more: return std::nullopt;
      case malformed: return broken("malformed frame");
      case head: fault = begin_frame(); break;
      case payload:
        is_control(opcode) ? frames_.take_payload(control_) : void(fault = add());
        break;
      case end:
        if (opcode == Opcode::ping) sink.on_ping(control_);
        if (opcode == Opcode::pong) sink.on_pong();
        if (opcode == Opcode::close) {
          state_ = State::closed;
          fault = end_close(sink);
        }
        if (is_control(opcode)) {
          std::string().swap(control_);
        } else if (frames_.head().fin) {
          state_ = State::between;
          fault = end_message();
          if (!fault && !sink.on_message(std::exchange(message_, {}))) return std::nullopt;
        }
    }
    if (fault) return fault;
  }
  return std::nullopt;
}

std::optional<Close> MessageReader::begin_frame() {
  const FrameHead& head = frames_.head();
  // RSV1 is the first frame's of a message, and of no control frame (RFC 7692 section 6).
  const bool may_be_compressed =
      compression_.agreed && !is_control(head.opcode) && head.opcode != Opcode::continuation;
  if (head.compressed && !may_be_compressed) return broken("RSV1 is set");
  if (is_control(head.opcode)) return std::nullopt;
  if ((head.opcode == Opcode::continuation) != (state_ == State::within)) {
    return broken(state_ == State::within ? "a message within another"
                                          : "there is no message to be continued");
  }
  if (state_ == State::between) {
    state_ = State::within;
    compressed_ = head.compressed;
    message_.is_text = head.opcode == Opcode::text;
    utf8_.reset();
  }
  // Told before any of it has come, where that is possible.
  if (!compressed_ && head.size > most_ - message_.data.size()) return too_large();
  return std::nullopt;
}

std::optional<Close> MessageReader::add() {
  const std::size_t before = message_.data.size();
  if (!compressed_) {
    // Grows with what comes, and not with what is announced; in one step if half of that has come.
    const auto likely = std::min<std::uint64_t>(frames_.head().size, 2 * frames_.payload_size());
    if (before == 0) message_.data.reserve(static_cast<std::size_t>(likely));
    frames_.take_payload(message_.data);
  } else {
    std::string piece;
    frames_.take_payload(piece);
    switch (inflater().add(piece, message_.data, most_)) {
      case Inflater::Outcome::ok: break;
      case Inflater::Outcome::too_large: return too_large();
      case Inflater::Outcome::malformed: return broken("malformed deflate");
    }
  }
  return check_text(before);
}

std::optional<Close> MessageReader::check_text(std::size_t from) {
  if (!message_.is_text) return std::nullopt;
  if (utf8_.add(std::string_view(message_.data).substr(from))) return std::nullopt;
  return no_utf8();
}

std::optional<Close> MessageReader::end_message() {
  if (compressed_) {
    const std::size_t before = message_.data.size();
    const auto outcome = inflater().finish(message_.data, most_);
    lease_.reset();
    if (outcome == Inflater::Outcome::too_large) return too_large();
    if (outcome == Inflater::Outcome::malformed) return broken("malformed deflate");
    if (auto fault = check_text(before)) return fault;
  }
  if (message_.is_text && !utf8_.at_boundary()) return no_utf8();
  return std::nullopt;
}

// Section 5.5.1: nothing, or a code that may be sent and a reason in UTF-8.
std::optional<Close> MessageReader::end_close(MessageSink& sink) const {
  Close close;
  if (control_.size() == 1) return broken("a close code is of two octets");
  if (!control_.empty()) {
    close.code =
        static_cast<unsigned char>(control_[0]) << 8 | static_cast<unsigned char>(control_[1]);
    close.reason = control_.substr(2);
    if (!may_be_sent(close.code)) return broken("there is no such close code");
    if (!is_utf8(close.reason)) return no_utf8();
  }
  sink.on_close(std::move(close));
  return std::nullopt;
}

Inflater& MessageReader::inflater() {
  if (compression_.client_keeps) {
    if (!kept_) kept_ = std::make_unique<Inflater>(compression_.client_window, true);
    return *kept_;
  }
  if (!lease_) lease_ = std::make_unique<InflaterLease>();
  return lease_->get();
}

}  // namespace prowingen::websocket
