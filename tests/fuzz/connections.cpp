// One connection of the embedded engine, over a pair of sockets. Client and worker are tasks of the
// engine's I/O thread, which it runs between the turns of its loop: so what happens follows from
// the bytes, and costs no switching of threads.
//
// What a request asks for is what it gets:
//
//   early     an answer before its body is read         large     one of 80 KB, in pieces
//   hints     103 first                                 abort     one that fails in the middle
//   trailers  a trailer section
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <exception>
#include <limits>
#include <list>
#include <memory>
#include <semaphore>
#include <string>
#include <utility>
#include <vector>

#include "answer_frames.h"
#include "core/memory_budget.h"
#include "core/options.h"
#include "core/spool_file.h"
#include "engine_embedded/io_thread.h"
#include "http/http2_policy.h"
#include "proxies/proxies.h"
#include "targets.h"

namespace prowingen::fuzz {
namespace {

using namespace std::chrono_literals;

/// A request that a worker has, which never waits: it goes on when there is something to go on
/// with.
class Job {
 public:
  Job(embedded::IoThread& io, std::shared_ptr<Exchange> exchange)
      : io_(io), exchange_(std::move(exchange)), wish_(exchange_->request.target()) {}

  enum class Step : std::uint8_t { waits, goes_on, done };
  Step go_on() {
    switch (at_) {
      case At::queued:
        if (!exchange_->take()) return Step::done;
        at_ = At::reading;
        if (wants("hints")) inform();
        return Step::goes_on;
      case At::reading: return wants("early") ? answer() : read();
      case At::answering: return send();
    }
    return Step::done;
  }

 private:
  enum class At : std::uint8_t { queued, reading, answering };

  bool wants(std::string_view what) const { return wish_.find(what) != std::string::npos; }

  void inform() {
    ResponseHead head;
    head.status = 103;
    head.reason = "Early Hints";
    head.add_field("Link", "</style.css>; rel=preload");
    exchange_->inform(std::move(head), no_limit);
  }

  Step read() {
    if (!exchange_->body_ready()) {
      if (exchange_->cut()) return Step::done;
      if (std::exchange(asked_, true)) return Step::waits;
      io_.body_wanted(exchange_);
      return Step::goes_on;
    }
    std::string piece;
    switch (exchange_->read_body(piece)) {
      case Exchange::Read::bytes: body_ += piece.size(); return Step::goes_on;
      case Exchange::Read::end: return answer();
      case Exchange::Read::departed: return Step::done;
      case Exchange::Read::timed_out:
      case Exchange::Read::failed: break;
    }
    throw Fault("a body cannot be read back");
  }

  Step answer() {
    ResponseHead& head = exchange_->response;
    head.clear();
    head.status = 200;
    head.reason = "OK";
    head.add_field("X-Body", std::to_string(body_));
    if (wants("large")) pieces_ = 10;
    const bool trailers = wants("trailers");
    ResponseBody& body = exchange_->response_body;
    body = {};
    body.allowed = response_has_content(exchange_->request.method(), head.status);
    body.length_known = body.add_length_field = !trailers;
    body.length = pieces_ * content.size();
    if (trailers && may_have_trailers(exchange_->request, body)) {
      exchange_->response_trailers = std::make_unique<FieldSection>();
      exchange_->response_trailers->add_field("X-Sum", "1");
    }
    at_ = At::answering;
    return Step::goes_on;
  }

  Step send() {
    --pieces_;
    const bool fails = pieces_ == 0 && wants("abort");
    Chunk chunk(exchange_->response_body.allowed ? std::string(content) : std::string());
    const auto pushed = exchange_->push(std::move(chunk), no_limit, pieces_ == 0 && !fails);
    if (fails && pushed != Exchange::Push::departed) exchange_->abort();
    return pieces_ == 0 || pushed == Exchange::Push::departed ? Step::done : Step::goes_on;
  }

  static constexpr auto no_limit = std::numeric_limits<std::size_t>::max();
  static inline const std::string content = std::string(8'000, 'x');

  embedded::IoThread& io_;
  const std::shared_ptr<Exchange> exchange_;
  const std::string wish_;
  At at_ = At::queued;
  bool asked_ = false;
  std::uint64_t body_ = 0;
  unsigned pieces_ = 1;
};

/// An I/O thread, kept from one client to the next, and what is around it. Used on that thread
/// alone while there is a client.
class Server final : private RequestSink {
 public:
  Server() { io_.start(); }
  ~Server() override { io_.stop(); }

  embedded::IoThread& io() { return io_; }
  /// Gets on with what has been requested. False: there was nothing to do.
  bool work() {
    for (auto& exchange : std::exchange(queued_, {})) jobs_.emplace_back(io_, std::move(exchange));
    bool worked = false;
    for (auto job = jobs_.begin(); job != jobs_.end();) {
      const auto step = job->go_on();
      worked |= step != Job::Step::waits;
      step == Job::Step::done ? job = jobs_.erase(job) : ++job;
    }
    return worked;
  }
  bool at_rest() const { return queued_.empty() && jobs_.empty() && io_.open_connections() == 0; }
  void check() const {
    must(budget_->used() == 0, "memory is charged for a client that is gone");
    must(spool_->bytes() == 0, "disk is held for a client that is gone");
    if (!complaint_.empty()) throw Fault("the server complains: " + complaint_);
  }

 private:
  std::size_t submit(std::span<const std::shared_ptr<Exchange>> exchanges) override {
    for (const auto& exchange : exchanges) {
      exchange->queued_at = exchange->taken_at = std::chrono::steady_clock::now();
      exchange->submit();
      queued_.push_back(exchange);
    }
    return exchanges.size();
  }
  std::chrono::nanoseconds backlog() const override { return {}; }

  void on_report(Severity severity, std::string text) {
    if (severity >= Severity::error) complaint_ = std::move(text);
  }

  Options options_;
  Proxies proxies_{options_};
  std::shared_ptr<MemoryBudget> budget_ = std::make_shared<MemoryBudget>(options_.memory_budget);
  std::shared_ptr<Spool> spool_ = std::make_shared<Spool>("", 0, [](const std::string&) {});
  std::vector<std::shared_ptr<Exchange>> queued_;
  std::string complaint_;
  std::list<Job> jobs_;
  embedded::IoThread io_{
      EngineContext{.options = options_,
                    .proxies = proxies_,
                    .tls = nullptr,
                    .sink = *this,
                    .memory = budget_,
                    .report = [this](Severity severity,
                                     std::string text) { on_report(severity, std::move(text)); },
                    .spool = spool_}};
};

/// One client, from its first byte until nothing is left of it. All of it happens on the I/O
/// thread, between the turns of its loop; whoever waits for it is told at the end.
class Client {
 public:
  Client(Server& server, std::string_view first, std::string_view second, bool finishes)
      : server_(server), to_send_{first, second}, finishes_(finishes) {
    std::array<int, 2> ends{};
    must(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) == 0,
         "there are no sockets");
    socket_ = UniqueFd(ends[0]);
    server_.io().adopt(ConnectionSocket(ends[1]), 0, std::make_shared<ConnectionInfo>());
    go_on();
    over_.acquire();
    if (failure_) std::rethrow_exception(failure_);
  }

  /// All that came.
  const std::string& received() const { return received_; }

 private:
  void go_on() {
    server_.io().post([this] {
      try {
        if (step()) return go_on();
      } catch (...) {
        failure_ = std::current_exception();
      }
      over_.release();
    });
  }
  /// False: it is over.
  bool step() {
    const bool worked = server_.work();
    const bool came = socket_ && receive();
    quiet_ = worked || came ? 0 : quiet_ + 1;
    // What has come in one turn of the loop may be seen to in the next.
    if (quiet_ < 3) return true;
    if (!socket_) {
      must(std::chrono::steady_clock::now() < patience_,
           "a client is gone, and something of it is not");
      return !server_.at_rest();
    }
    act();
    return true;
  }
  /// Nothing happens any more: it sends what is next, and leaves at the end of that, or as soon as
  /// the server takes no more.
  void act() {
    quiet_ = 0;
    while (!to_send_.empty() && to_send_.front().empty()) to_send_.erase(to_send_.begin());
    if (to_send_.empty()) {
      if (!std::exchange(finishes_, false)) return socket_.reset();
      ::shutdown(socket_.get(), SHUT_WR);
      return;
    }
    auto& piece = to_send_.front();
    const auto sent = ::send(socket_.get(), piece.data(), piece.size(), MSG_NOSIGNAL);
    if (sent <= 0) return to_send_.clear();
    piece.remove_prefix(static_cast<std::size_t>(sent));
  }
  bool receive() {
    std::array<char, 64 * 1024> piece;
    const auto size = ::recv(socket_.get(), piece.data(), piece.size(), 0);
    if (size > 0) received_.append(piece.data(), static_cast<std::size_t>(size));
    return size > 0;
  }

  Server& server_;
  std::vector<std::string_view> to_send_;
  bool finishes_;
  UniqueFd socket_;
  std::string received_;
  int quiet_ = 0;
  const std::chrono::steady_clock::time_point patience_ = std::chrono::steady_clock::now() + 20s;
  std::exception_ptr failure_;
  std::binary_semaphore over_{0};
};

}  // namespace

void connections(std::string_view bytes) {
  static Server server;
  const auto cut = place_to_cut(bytes);
  const Client client(server, bytes.substr(0, cut), bytes.substr(cut), cut % 2 == 0);
  server.check();
  if (bytes.starts_with(http2_preface)) return check_answer_frames(client.received(), bytes);
  must(client.received().empty() || client.received().starts_with("HTTP/1."),
       "an answer that is none");
}

}  // namespace prowingen::fuzz
