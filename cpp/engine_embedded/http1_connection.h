// One HTTP/1.x connection: requests in, answers out in the same order. I/O thread only.
//
// Reading side                                  Writing side
//
//   head --whole head--> body --its end--> head   pipeline_: exchanges in order of arrival; the
//    ^ ^                  |                       first `taken_` of them have given all their
//    | |                  | its exchange is over  output to out_ and complete when out_ is empty
//    | +--- its end ---- discard
//    |
//   head --may upgrade--> undecided --answer of status 101--> opaque --its end--> done
//    ^                        |
//    +----any other answer----+
//   any --last request parsed--> done
//
// Safe requests without a body are handed over ahead of the answers before them, up to
// pipeline_depth (RFC 9112 section 9.3.2 allows that for safe methods); any other request is held
// until the pipeline is empty. Nothing is read while a request is held or a body is over its
// high-water mark, so that a client cannot make the server store more than that; nor behind a
// request that offers another protocol, until its answer says whether what follows is that.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine_embedded/connection.h"
#include "engine_embedded/http1_exchange.h"
#include "http/refusal.h"
#include "http1/request_parser.h"

namespace prowingen::embedded {

using http1::BodySink;
using http1::RequestParser;

class Http1Connection final : public Connection, private BodySink {
 public:
  using Connection::Connection;

 private:
  enum class Reading : std::uint8_t { head, body, discard, undecided, opaque, done };
  /// Why nothing is read although the state would.
  enum class Pause : std::uint8_t { none, pipeline, body, memory };

  using ExchangePtr = std::shared_ptr<Http1Exchange>;

  // http1_connection.cpp: the life of a connection
  bool reads() const override {
    return pause_ == Pause::none && reading_ != Reading::undecided && reading_ != Reading::done;
  }
  bool still_due(TimeLimit limit, unsigned requests) const override;
  void handle_timeout(TimeLimit limit) override;
  void begin_drain() override;
  void stop_working() override;
  void drop_exchanges(Departure why) override;
  void look_for_client(ConnectionExchange& exchange) override;
  void shut_down_gracefully();
  ExchangePtr make_exchange();
  bool idle() const { return pipeline_.empty() && reading_ == Reading::head && carried_.empty(); }

  // http1_input.cpp: from bytes to requests that are handed over or refused
  void take_input(std::string_view input) override;
  void on_end_of_stream() override;
  void resume_body(ConnectionExchange& exchange) override;
  void refuse_unqueued(ConnectionExchange& exchange) override;
  void refuse_from(Http1Exchange& exchange, const Refusal& refusal);
  void consume_input();
  std::size_t consume(std::string_view input);
  std::size_t consume_head(std::string_view input);
  std::size_t consume_body(std::string_view input);
  std::size_t consume_opaque(std::string_view input);
  bool may_become_http2() const;
  void become_http2(std::string_view input);
  void on_head(bool request_done);
  void on_body(std::string_view bytes) override;
  void on_trailer(std::string_view name, std::string_view value) override;
  void on_body_end();

  void dispatch(ExchangePtr exchange);
  void submit(const ExchangePtr& exchange);
  void abandon(Http1Exchange& exchange, Departure why);
  void refuse(const Refusal& refusal, Departure why = Departure::malformed_body);
  void send_refusal();

  // http1_output.cpp: from answers to bytes
  void flush() override;
  bool has_room_for_output() const;
  bool collect();
  void frame(Http1Exchange& exchange, Exchange::Output& output);
  bool decide_keep_alive(const Http1Exchange& exchange) const;
  void settle_upgrade(const ExchangePtr& exchange);
  bool is_half_closed(const Http1Exchange& exchange) const;
  void half_close();
  void complete_taken();
  void after_answer();

  // http1_holdings.cpp: what it holds of the memory budget, and what is cut
  bool awaits_rest() const override;
  void rest_comes() override;
  void cut_slow_request() override;
  bool reads_on_in_shortage() const override;
  void pause_for_memory() override { pause_ = Pause::memory; }
  bool go_on() override;
  bool refuse_held() override;
  std::size_t other_memory() const override;
  std::uint64_t exchange_memory() const override;
  void refuse_unfinished(Departure why);

  Reading reading_ = Reading::head;
  Pause pause_ = Pause::none;
  std::string carried_;      // input not consumed yet
  std::size_t scanned_ = 0;  // of carried_: no line ends there that was not tried
  std::optional<RequestParser> parser_;
  ExchangePtr incoming_;  // whose head or body is being received
  std::vector<ExchangePtr> pipeline_;
  ExchangePtr held_;                  // parsed, waits for the pipeline to empty
  const Refusal* refusal_ = nullptr;  // answered when the pipeline is empty
  ExchangePtr refused_;               // for the access log
  bool continue_due_ = false;         // 100 Continue is due when incoming_'s body is first read
  bool body_not_stored_ = false;      // of incoming_, which is to be refused
  std::uint64_t discard_left_ = 0;

  std::size_t taken_ = 0;
  bool unread_input_ = false;  // input may follow that nobody will read
  bool last_answer_ = false;   // the connection closes after what is in the pipeline
};

}  // namespace prowingen::embedded
