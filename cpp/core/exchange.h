// One request and its answer: the only object that I/O threads and worker threads share.
//
//   receiving --submit--> queued --take--> running --head--> responding --finish--> finished
//       |                   |                 |                  |                     | written
//       |                   |                 +------abort-------+--> aborted          v
//       |                   |                 |                  |       |         completed
//       +-------------------+-------depart----+------------------+-------+--> departed
//
// A worker that has taken too long is overruled: its exchange goes through `responding` to
// `finished` with an answer of the server's own, or is aborted, and the worker is told that it has
// departed.
//
// `completed`, `aborted` and `departed` are the terminal events; exactly one of them happens.
// `departed` means that the client, a time limit or the server's own stop ended the exchange.
// Every call that a thread of the application is blocked in returns with any of the three: an
// application may have handed `wsgi.input` or write() to a thread that outlives its answer.
//
// One whose answer switches protocols (RFC 9110 section 7.8) has no other states. What its client
// sends from then on is its body, which ends when the client has nothing more to say; what the
// worker pushes goes out as it is. It ends when both have said that, or the worker wants no more:
// see close_input().
//
// Ownership of the parts: the I/O thread fills `request` and `peer` before `submit`, after which
// they are constant. `response` belongs to the worker until its first push(), then to the I/O
// thread. What is stored of the body is filled by the I/O thread before `submit` and read by the
// worker afterwards. Everything else is guarded by the mutex.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/chunk.h"
#include "core/forks.h"
#include "core/lead.h"
#include "core/memory_budget.h"
#include "core/stored_body.h"
#include "http/message.h"
#include "http/response_policy.h"

namespace prowingen {

class Transport;

using SteadyTime = std::chrono::steady_clock::time_point;

enum class ExchangeState : std::uint8_t {
  receiving,
  queued,
  running,
  responding,
  finished,
  completed,
  aborted,
  departed
};

enum class ExchangeEvent : std::uint8_t { submit, take, head, finish, written, abort, depart };

/// The next state, as in the diagram above. An event with no arrow is a std::logic_error.
ExchangeState next_state(ExchangeState state, ExchangeEvent event);

/// Why an exchange departed.
enum class Departure : std::uint8_t {
  none,
  client_closed,
  body_timeout,
  write_timeout,
  too_slow,
  memory_short,
  malformed_body,
  body_too_large,
  server_stopped,
  overruled
};
/// A sentence for exceptions and logs.
std::string_view describe(Departure departure);

/// What a proxy that is believed says of a request as its client made it; empty where it says
/// nothing.
struct ForwardedTarget {
  std::string host;         // the authority: HTTP_HOST
  std::string server_name;  // its host alone
  std::string server_port;
  std::string prefix;  // of the path, decoded, under which the proxy shows the application
};

/// What a TLS handshake has told; empty where it has not.
struct TlsFacts {
  std::string protocol;            // "TLSv1.3"
  std::string cipher;              // its suite, as OpenSSL names it
  std::string server_name;         // that the client asked for (SNI)
  std::string client_certificate;  // PEM; verified
  std::string client_subject;      // its distinguished name (RFC 2253)
  std::string client_issuer;
};

/// What somebody who is asked about a thing again and again has made of it. A copy of the thing,
/// which may be changed, begins without. Any thread.
class Memo {
 public:
  Memo() = default;
  Memo(const Memo& other) : Memo() { static_cast<void>(other); }
  Memo& operator=(const Memo& other) {
    if (this != &other) set(0);
    return *this;
  }
  /// 0: nothing yet.
  std::uint64_t get() const { return value_.load(std::memory_order_relaxed); }
  void set(std::uint64_t value) const { value_.store(value, std::memory_order_relaxed); }

 private:
  mutable std::atomic<std::uint64_t> value_ = 0;
};

/// Addresses of a connection's two ends, as WSGI wants them: text. Shared by its exchanges. Of an
/// exchange that came through proxies, the client's end and scheme as they tell: see proxies.h.
struct ConnectionInfo {
  std::string remote_address;  // empty for a Unix socket
  std::string remote_port;
  std::string local_address;
  std::string local_port;
  std::string scheme = "http";
  std::shared_ptr<const TlsFacts> tls;  // null: none
  /// The remote end is a proxy whose forwarded fields are believed.
  bool from_proxy = false;
  std::shared_ptr<const ForwardedTarget> forwarded;  // null: nothing is said
  Memo client_name;                                  // of the remote address, by RateLimits
};

class Exchange;
/// A request's decoded path as its application has it: a proxy that is believed may show it under a
/// prefix, and may have taken that off the path or not.
std::string_view application_path(const Exchange& exchange, std::string_view path);

/// Told of whatever wakes a blocked call of an exchange: what has come, room for more, its end. By
/// the thread that sees to that, which must not be kept.
class ExchangeWatcher {
 public:
  virtual ~ExchangeWatcher() = default;
  virtual void on_change() = 0;
  /// Offered what has come, before it is kept for read_body(). How many of it, from the front, it
  /// takes; the rest is kept. Of the engine's thread.
  virtual std::size_t take(std::string_view bytes) {
    static_cast<void>(bytes);
    return 0;
  }
};

/// Told once that an exchange is over, beside its watcher. By the thread that ended it, which must
/// not be kept.
class ExchangeEndListener {
 public:
  virtual ~ExchangeEndListener() = default;
  /// `departed`: early, by its client's doing, a time limit or the server's stop.
  virtual void on_end(bool departed) = 0;
};

/// Of a WebSocket, for the access log.
struct MessageCounts {
  std::atomic<std::int64_t> received = 0;
  std::atomic<std::int64_t> sent = 0;
};

/// What becomes of an exchange that is given to the workers again: see WorkQueue::submit_again().
class ExchangeEvents {
 public:
  virtual ~ExchangeEvents() = default;
  /// On a worker, with the GIL.
  virtual void run() = 0;
  /// No worker runs it any more. Any thread.
  virtual void abandon() = 0;
};

/// How far a request has come on its way to the application: what answers it on the way is native.
enum class Route : std::uint8_t { native, queued, worker };

class Exchange : public std::enable_shared_from_this<Exchange> {
 public:
  explicit Exchange(Transport& transport);
  virtual ~Exchange() = default;
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  /// In a fork of the process that serves it nothing else of an exchange may be touched but the
  /// request's head: the lock may be held by a thread that is not there.
  const Birthplace birthplace;

  // ---- set by the I/O thread before submit, constant afterwards
  RequestHead request;
  std::shared_ptr<const ConnectionInfo> peer;
  unsigned listener = 0;
  bool has_body = false;
  /// A trailer section has come, or may follow the body.
  bool may_have_trailers = false;
  bool expects_continue = false;
  /// The client offers other protocols, and has sent no content: it waits for the answer's head,
  /// which says what is spoken from there on.
  bool may_upgrade = false;
  /// It asks how the server is, as others do every second: nobody wants to read of it.
  bool is_probe = false;
  /// Of those that only so many workers take of at a time; 0: none. See bulkheads.h.
  std::size_t lane = 0;

  // ---- set by the worker before its first push, constant afterwards
  ResponseHead response;
  ResponseBody response_body;
  std::shared_ptr<MessageCounts> messages;  // null: it is no WebSocket

  // ---- set by a worker, and taken away by the one that it is given to again, or in its place
  std::shared_ptr<ExchangeEvents> events;  // null: there is one call of it

  // ---- set by the worker before its last push, constant afterwards
  /// What follows the answer's content; null: nothing.
  std::unique_ptr<FieldSection> response_trailers;

  // ---- times, for logs and metrics
  SteadyTime received_at;
  SteadyTime queued_at;
  SteadyTime taken_at;  // by the worker
  /// Until when the worker has to have answered; not set: it may take as long as it takes.
  SteadyTime deadline;
  /// When the last piece was pushed or the answer aborted; not set if the exchange departed first.
  /// Constant once the I/O thread has taken the end of the output or called depart().
  SteadyTime finished_at;
  /// As constant as taken_at.
  Route route = Route::native;

  // ---- request body, I/O thread
  enum class Intake : std::uint8_t { read_on, pause, refuse };
  /// Before submit(): adds body bytes, of which few stay in memory. `pause` when `most` of them
  /// wait to be read, or there is no room for more on the disk; without `most` the body has to
  /// come to its end, so that the exchange is to be refused then.
  Intake store_body(std::string_view bytes, std::optional<std::size_t> most,
                    const std::shared_ptr<Spool>& spool);
  /// After it: adds body bytes; `pause` when more than `high_water` of them wait to be read.
  Intake append_body(std::string_view bytes, std::size_t high_water);
  /// Adds a field of the request's trailer section. Before finish_body().
  void add_trailer(std::string_view name, std::string_view value);
  /// The body is complete, its trailer section checked.
  void finish_body();
  /// What store_body() has added.
  std::uint64_t stored_body_size() const { return stored_.size(); }
  /// The head is whole, and waits for its body or for a worker.
  void charge_head() { settle_request(); }

  // ---- request body, worker
  enum class Read : std::uint8_t { bytes, end, departed, failed, timed_out };
  /// Replaces `buffer` by the bytes that have arrived; waits for some if there are none, until then
  /// or for ever. `departed` once no more can come; `failed` if they cannot be read back from the
  /// disk. Releases no GIL: the caller does, when body_ready() says that it would wait.
  Read read_body(std::string& buffer, std::optional<SteadyTime> until = std::nullopt);
  /// No more of it is wanted: it is thrown away, what has come and what comes.
  void close_input();
  /// True if read_body() would return at once.
  bool body_ready() const;
  /// All of the body has come, and none of it waits to be read.
  bool body_read() const;
  /// All of the body has come, its trailer section too.
  bool body_whole() const;
  /// The trailer section of a request whose body is whole; null: it has none.
  const FieldSection* trailers() const { return trailers_.get(); }

  // ---- request body, any thread
  /// A worker has all of the body that has come: it waits for more, or will.
  bool body_used_up() const;
  /// More may come, and nobody has said that it is not wanted.
  bool wants_input() const;

  // ---- response, worker
  enum class Push : std::uint8_t { ok, full, departed };
  /// Hands `chunk`, and the first time the head before it, to the engine. `full`: taken, but the
  /// caller should wait_writable() before the next one. `departed`: or aborted; nothing is sent any
  /// more. `more_soon` as in Transport.
  Push push(Chunk chunk, std::size_t high_water, bool last, bool more_soon = false);
  /// Hands two over that belong together.
  Push push_both(Chunk first, Chunk second, std::size_t high_water);
  /// Hands an interim answer to the engine, before the first push().
  Push inform(ResponseHead head, std::size_t high_water);
  /// Wakes the I/O thread if output was pushed with `more_soon` since it last ran.
  void flush();
  /// Blocks until the engine has taken enough, the exchange departed or was aborted, or that time
  /// has come: then it is `full` still.
  Push wait_writable(std::optional<SteadyTime> until = std::nullopt);
  /// The application failed after its head went out: the answer must not look whole. Nothing if it
  /// is.
  void abort();
  /// Departed or aborted: nothing is sent any more. Takes no lock.
  bool cut() const { return cut_.load(std::memory_order_acquire); }
  /// Blocks until it is, came to its own end, or until then. Whether it is over.
  bool wait_over(std::optional<SteadyTime> until);
  /// Has the I/O thread look whether the client is still there, for who has nothing to send; cut()
  /// tells it a little later.
  void doubt_client();

  // ---- response, I/O thread
  struct Output {
    std::vector<ResponseHead> interim;  // answers that go out first
    bool head = false;                  // `response` goes out next
    bool finished = false;              // nothing follows
    bool aborted = false;
    std::vector<Chunk> chunks;
    void clear() {
      head = finished = aborted = false;
      interim.clear();
      chunks.clear();
    }
  };
  void take_output(Output& out);
  // What is sent, once its head was taken: the worker's answer, or what has taken its place.
  const ResponseHead& sent_head() const { return replaced_ ? replaced_->head : response; }
  const ResponseBody& sent_body() const { return replaced_ ? replaced_->body : response_body; }
  /// Null: none. Once all of the output was taken.
  const FieldSection* sent_trailers() const {
    return replaced_ ? nullptr : response_trailers.get();
  }
  /// The last byte was handed to the operating system: the terminal event of a good exchange.
  void written();

  // ---- both
  /// Tells it from now on, in place of whoever was told before.
  void watch(std::shared_ptr<ExchangeWatcher> watcher);
  /// Tells it no more, if nobody else has taken its place.
  void unwatch(const ExchangeWatcher& watcher);
  /// Tells it of the end, which is nobody else's to be told of. False: it has been by then.
  bool tell_of_end(std::shared_ptr<ExchangeEndListener> whom);
  /// What somebody keeps of it elsewhere, that its client has sent or does not read.
  void hold(std::uint64_t bytes);
  /// What a worker keeps of it elsewhere, which its client's departure does not free by itself.
  void keep_for_answer(std::uint64_t bytes);
  /// The worker has had its time: its client gets this answer, or, if the worker's has begun, no
  /// end of that. From then on the worker's calls return as if the client had left. Any thread.
  enum class Overruling : std::uint8_t { answered, cut, none };
  Overruling overrule(ResponseHead head, std::string text);
  /// Another protocol is spoken, for as long as it takes.
  bool switched() const;
  /// Whether memory is plentiful enough for what could as well be done without.
  bool may_spend(std::uint64_t bytes) const {
    return !budget_ || budget_->used() + bytes <= budget_->limit() / 2;
  }
  /// Moves to `queued` (I/O thread) and `running` (worker; false if the exchange departed).
  void submit();
  bool take();
  /// Ends the exchange early. A no-op on a terminal one.
  void depart(Departure why);
  /// The same, unless a worker has it: false then, and nothing is done.
  bool depart_untaken(Departure why);
  /// Once it was refused, and that is logged: gives back the head, too, unless a worker has it. The
  /// client's connection, or the queue, may keep the exchange for long.
  void forget_request();
  Departure departure() const;
  ExchangeState state() const;
  bool client_waits() const { return state() != ExchangeState::departed; }
  /// What it is charged for: the head; of the body what no worker has taken; of the answer what the
  /// engine has not.
  std::uint64_t memory_charged() const;
  /// What of that depart() would give back. The head and the stored body of a request that a worker
  /// has are in its hands, and it is not its client that they wait for.
  std::uint64_t memory_to_regain() const;

 protected:
  /// Makes a finished exchange as good as new, its capacities kept. Only for a sole owner.
  void recycle();

 private:
  bool end_early(Departure why, bool if_taken);
  /// Wakes whoever waits for a change. Without the mutex.
  void tell();
  void advance(ExchangeEvent event) { state_ = next_state(state_, event); }
  bool over() const {
    return state_ == ExchangeState::completed || state_ == ExchangeState::aborted ||
           state_ == ExchangeState::departed;
  }
  /// Nothing that the worker says is sent any more.
  bool is_cut() const {
    return state_ == ExchangeState::departed || state_ == ExchangeState::aborted || replaced_;
  }
  /// read_body() has something to return: bytes, the body's end, or the exchange's.
  bool has_body_news() const {
    return !stored_.empty() || !incoming_.empty() || body_finished_ || input_closed_ || over() ||
           replaced_;
  }
  /// Waits for a change that makes `done` true, until then or for ever. False: it has not come.
  template <typename Done>
  bool await(std::unique_lock<std::mutex>& lock, std::optional<SteadyTime> until, Done done) {
    if (until == SteadyTime() || done()) return done();  // not to wait
    if (Lead* const lead = lent(); lead != nullptr) {
      ++leading_;
      bool led = false;
      while (!done() && !(until && std::chrono::steady_clock::now() >= *until)) {
        lock.unlock();
        const bool taken = lead->take_turn(until, [&] {
          const std::lock_guard look(mutex_);
          return !done();
        });
        lock.lock();
        if (!taken) break;
        led = true;
      }
      --leading_;
      if (led) lead->end_turns();
    }
    if (until) return changed_.wait_until(lock, *until, done);
    changed_.wait(lock, done);
    return true;
  }
  /// Tells the transport of output, which `goes_on`: its worker will not look at the sockets soon.
  void announce(bool more_soon, bool goes_on);
  /// The lead of its sockets, if workers may have it now; else null.
  Lead* lent() const;
  std::size_t offer_to_watcher(std::string_view bytes);
  Push push_all(std::span<Chunk> chunks, std::size_t high_water, bool last, bool more_soon);
  void add_output(Chunk& chunk);  // with the mutex
  /// Tells the budget what is held now: of the answer, and of a request that has changed.
  void settle_charge() { charge_.set(request_memory_ + outgoing_memory_); }
  void settle_request() {
    const auto trailers = trailers_ ? trailers_->memory() : 0;
    request_memory_ = request.memory() + stored_.memory() + incoming_.size() + held_ + trailers +
                      kept_for_answer_;
    settle_charge();
  }

  const std::shared_ptr<MemoryBudget> budget_;  // an application may keep its input for longer
  // ---- what every answer touches on both of its threads, close together: what one of them has
  // written the other fetches by whole cache lines
  Transport& transport_;
  mutable std::mutex mutex_;
  ExchangeState state_ = ExchangeState::receiving;
  Departure departure_ = Departure::none;
  bool taken_ = false;            // by a worker
  std::atomic<int> leading_{0};   // so many threads wait for it in turns at the sockets
  std::atomic<bool> cut_{false};  // written under the mutex
  bool head_pending_ = false;
  bool signalled_ = false;  // the transport knows; cleared when the output is taken
  bool body_finished_ = false;
  bool input_closed_ = false;
  bool intake_paused_ = false;
  bool body_asked_for_ = false;
  // Who writes besides may have raised high_water_ since they were told to wait.
  unsigned waiting_writers_ = 0;
  std::vector<Chunk> outgoing_;
  std::uint64_t outgoing_bytes_ = 0;
  std::uint64_t outgoing_memory_ = 0;  // of these, what is not in files
  std::uint64_t request_memory_ = 0;
  std::size_t high_water_ = 0;                          // as of the last push
  std::unique_ptr<std::vector<ResponseHead>> interim_;  // null: none
  MemoryCharge charge_;
  struct Replaced {
    ResponseHead head;
    ResponseBody body;
  };
  std::unique_ptr<Replaced> replaced_;  // the worker's answer, by this; null: it is not

  // ---- what few do
  std::condition_variable changed_;   // body arrived, output taken, over
  std::atomic<bool> watched_{false};  // by either of these
  std::shared_ptr<ExchangeWatcher> watcher_;
  std::shared_ptr<ExchangeEndListener> end_listener_;
  std::uint64_t held_ = 0;  // by somebody else
  std::uint64_t kept_for_answer_ = 0;
  // request body: what came before submit(), and what comes after it
  StoredBody stored_;
  std::string incoming_;
  std::unique_ptr<FieldSection> trailers_;  // constant once the body is finished
};

}  // namespace prowingen
