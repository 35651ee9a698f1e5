#include "sockets/bridge.h"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string_view>
#include <system_error>
#include <utility>

#include "core/copying.h"
#include "http/response_policy.h"
#include "sockets/answer_head.h"
#include "sockets/bridge_thread.h"

namespace prowingen::sockets {
namespace {

constexpr SteadyTime at_once{};

#if defined(MSG_NOSIGNAL)
constexpr int send_flags = MSG_DONTWAIT | MSG_NOSIGNAL;
#else
constexpr int send_flags = MSG_DONTWAIT;
#endif

bool would_block() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

}  // namespace

Bridge::Bridge(BridgeThread& thread, std::shared_ptr<Exchange> exchange, std::size_t high_water,
               Ends ends)
    : thread_(thread),
      exchange_(std::move(exchange)),
      high_water_(high_water),
      ours_(std::move(ends.ours)),
      applications_(std::move(ends.applications)),
      kept_(ours_.get()) {}

Bridge::Ends Bridge::make_pair() {
  std::array<int, 2> ends{};
#if defined(SOCK_CLOEXEC)
  constexpr int type = SOCK_STREAM | SOCK_CLOEXEC;
#else
  constexpr int type = SOCK_STREAM;
#endif
  if (::socketpair(AF_UNIX, type, 0, ends.data()) != 0) {
    throw std::system_error(errno, std::generic_category(), "socketpair");
  }
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

Bridge::~Bridge() = default;

// ---------------------------------------------------------------------------- who answers

Bridge::Written Bridge::look() const {
  char byte;
  const auto size = ::recv(ours_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (size < 0 && would_block()) return Written::nothing;
  return size > 0 ? Written::something : Written::end;
}

// Whatever comes first is the answer. What is in the socket has come, though nobody has read it.
bool Bridge::claim(State next) {
  const std::lock_guard lock(mutex_);
  if (state_ != State::unclaimed) return next == State::head ? answered_ : state_ == next;
  const bool written_to = look() == Written::something;
  if (written_to) {
    state_ = State::head;
    answered_ = true;
  } else if (next != State::head) {
    state_ = next;
  }
  return written_to == (next == State::head);
}

bool Bridge::take_away() {
  const bool taken = claim(State::over);
  thread_.schedule(shared_from_this());
  return taken;
}

bool Bridge::let_pass() { return claim(State::held); }

void Bridge::open() {
  state_ = State::open;
  thread_.schedule(shared_from_this());
}

bool Bridge::has_answered() {
  const bool answered = claim(State::head);
  if (answered) thread_.schedule(shared_from_this());
  return answered;
}

void Bridge::on_change() {
  if (!scheduled_.exchange(true)) thread_.schedule(shared_from_this());
}

// ---------------------------------------------------------------------------- bytes

void Bridge::begin(EventLoop& loop) {
  ReadyHandler& handler = *this;
  watch_ = std::make_unique<EventLoop::Watch>(loop, ours_.get(), handler);
}

void Bridge::pump() {
  try {
    move();
  } catch (const std::exception&) {  // no memory: it is the client's loss, and not the process's
    fail();
    end();
  }
}

void Bridge::move() {
  if (watch_ == nullptr) return;  // it has ended
  scheduled_ = false;
  if (state_ == State::unclaimed && !claim(State::head)) quiet_ = look() == Written::end;
  if (state_ == State::over || exchange_->cut()) return end();
  if (state_ == State::head || state_ == State::open) pump_out();
  if (state_ == State::open) pump_in();
  if (state_ == State::over || (input_over_ && output_over_)) return end();
  want();
}

void Bridge::want() {
  const bool speaks = state_ == State::unclaimed ? !quiet_ : state_ != State::held;
  const bool reads = speaks && !output_over_ && !output_full_;
  const auto interest = (reads ? Interest::read : Interest::none) |
                        (read_ < to_read_.size() ? Interest::write : Interest::none);
  if (watch_->wanted() == interest || watch_->want(interest)) return;
  fail();
}

// What the application has said is not what it wanted to say.
void Bridge::fail() {
  if (!std::exchange(output_over_, true) && !exchange_->cut()) exchange_->abort();
  exchange_->close_input();
  state_ = State::over;
}

// From the application to its client.
void Bridge::pump_out() {
  auto& buffer = thread_.buffer();
  output_full_ = output_full_ && exchange_->wait_writable(at_once) == Exchange::Push::full;
  while (!output_over_ && !output_full_ && state_ != State::over) {
    const auto size = ::recv(ours_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (size < 0 && would_block()) return;
    if (size <= 0) return end_output();
    const std::string_view bytes(buffer.data(), static_cast<std::size_t>(size));
    state_ == State::head ? read_head(bytes) : push(bytes);
  }
}

void Bridge::push(std::string_view bytes) {
  const auto outcome = exchange_->push(Chunk(std::string(bytes)), high_water_, false);
  output_full_ = outcome == Exchange::Push::full;
  if (outcome == Exchange::Push::departed) state_ = State::over;
}

void Bridge::read_head(std::string_view bytes) {
  append_octets(written_, bytes);
  const auto progress = read_answer_head(written_, exchange_->response);
  if (progress.outcome == HeadOutcome::need_more) return;
  if (progress.outcome == HeadOutcome::malformed) return refuse_head();
  state_ = State::open;
  // Only 101 is followed by another protocol. Behind any other answer, which is the connection's
  // last, what comes would be taken for a request by one side and for anything by the other.
  const bool switches = exchange_->response.status == 101;
  exchange_->response_body.opaque = switches;
  exchange_->response_body.until_close = !switches;
  if (!switches) {
    end_input();
    ::shutdown(ours_.get(), SHUT_WR);
  }
  push(std::string_view(written_).substr(progress.consumed));
  std::string().swap(written_);
}

void Bridge::refuse_head() {
  thread_.report(std::string(exchange_->request.method()) + " " +
                 std::string(exchange_->request.target()) +
                 ": what the application has written to its socket is no answer of HTTP/1.1");
  constexpr std::string_view page = "Internal Server Error\n";
  exchange_->response.clear();
  exchange_->response.status = 500;
  exchange_->response.reason = reason_phrase(500);
  exchange_->response.closes = true;
  exchange_->response.add_field("Content-Type", "text/plain; charset=utf-8");
  exchange_->response_body.allowed =
      response_has_content(exchange_->request.method(), exchange_->response.status);
  exchange_->response_body.length_known = exchange_->response_body.add_length_field = true;
  exchange_->response_body.length = page.size();
  output_over_ = true;
  exchange_->push(Chunk(std::string(page)), high_water_, true);
  state_ = State::over;
}

void Bridge::end_output() {
  if (state_ != State::open) return refuse_head();  // in the middle of it
  output_over_ = true;
  exchange_->push({}, high_water_, true);
}

// From the client to the application.
void Bridge::pump_in() {
  for (;;) {
    if (read_ < to_read_.size()) {
      const auto size =
          ::send(ours_.get(), to_read_.data() + read_, to_read_.size() - read_, send_flags);
      if (size < 0 && would_block()) return;
      if (size < 0) return end_input();
      read_ += static_cast<std::size_t>(size);
      continue;
    }
    if (input_over_) return;
    read_ = 0;
    switch (exchange_->read_body(to_read_, at_once)) {
      case Exchange::Read::bytes: break;
      case Exchange::Read::timed_out: return;
      case Exchange::Read::end:
        input_over_ = true;
        ::shutdown(ours_.get(), SHUT_WR);
        return;
      case Exchange::Read::departed:
      case Exchange::Read::failed: state_ = State::over; return;
    }
  }
}

// The application reads no more.
void Bridge::end_input() {
  input_over_ = true;
  to_read_.clear();
  read_ = 0;
  exchange_->close_input();
}

void Bridge::on_ready(Interest) { pump(); }

// Every copy of the application's end is closed.
void Bridge::on_broken() {
  if (state_ == State::unclaimed || state_ == State::held) {
    quiet_ = true;
    return;
  }
  end_input();
  pump();
}

// It could not begin.
void Bridge::give_up() {
  if (state_ != State::over) fail();  // else the answer is another's
  ::shutdown(ours_.get(), SHUT_RDWR);
  kept_.end();
  ours_.reset();
  exchange_->unwatch(*this);
}

void Bridge::end() {
  if (watch_ == nullptr) return;
  watch_.reset();
  {
    const std::lock_guard lock(mutex_);
    state_ = State::over;
  }
  ::shutdown(ours_.get(), SHUT_RDWR);
  kept_.end();
  ours_.reset();
  exchange_->unwatch(*this);
  thread_.forget(*this);
}

}  // namespace prowingen::sockets
