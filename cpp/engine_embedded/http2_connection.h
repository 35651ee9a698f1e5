// One HTTP/2 connection: streams to exchanges, and back. I/O thread only.
//
//   socket --bytes--> http2::Session --on_request, on_body--> exchange --> work queue
//   socket <--out_--- http2::Session <--offer, take---------- exchange
//
// Each stream is one exchange, and they are worked on side by side. A body that a worker does not
// read closes the window of its stream and no other. Output is pulled by the session as the
// client's windows, the streams' priorities and the socket let it: 64 KiB of frames are made at a
// time, so that what becomes ready meanwhile does not queue behind megabytes.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine_embedded/connection.h"
#include "engine_embedded/http2_exchange.h"
#include "http/refusal.h"
#include "http2/session.h"

namespace prowingen::embedded {

class Http2Connection final : public Connection, private http2::Streams {
 public:
  Http2Connection(IoThread& io, Channel channel, unsigned listener,
                  std::shared_ptr<const ConnectionInfo> info);
  ~Http2Connection() override;

  /// What another version's connection had read before it knew that this is HTTP/2.
  void begin_with(std::string_view input);
  void note_output(ConnectionExchange& exchange) override;

 private:
  using ExchangePtr = std::shared_ptr<Http2Exchange>;

  // http2_connection.cpp: the life of a connection
  bool reads() const override { return !awaits_memory_ && !ending_; }
  void take_input(std::string_view input) override;
  void on_end_of_stream() override;
  void look_for_client(ConnectionExchange& exchange) override;
  bool still_due(TimeLimit limit, unsigned requests) const override;
  void handle_timeout(TimeLimit limit) override;
  void begin_drain() override;
  void stop_working() override {}
  void drop_exchanges(Departure why) override;
  bool awaits_rest() const override;
  bool came_aside() const override { return came_aside_; }
  void cut_slow_request() override;
  bool awaits_reader() const override;
  void cut_slow_reader() override;
  bool reads_on_in_shortage() const override;
  void pause_for_memory() override { awaits_memory_ = true; }
  bool go_on() override;
  bool refuse_held() override;
  std::size_t other_memory() const override;
  std::uint64_t exchange_memory() const override;
  bool idle() const { return streams_.empty() && leaving_.empty() && !session_.in_head(); }
  void await_request();
  void end_session();
  void on_late_body(Http2Exchange& exchange);
  void on_late_reader(Http2Exchange& exchange);
  Http2Exchange* find(std::int32_t stream) const;

  // http2_requests.cpp: from streams to requests that are handed over or refused
  http2::Stream* open(std::int32_t id, RequestHead*& head) override;
  void on_request(http2::Stream& stream, const http2::HeadReader::Result& head) override;
  void on_body(http2::Stream& stream, std::string_view bytes) override;
  void on_trailer(http2::Stream& stream, std::string_view name, std::string_view value) override;
  void on_bad_trailers(http2::Stream& stream, Verdict verdict) override;
  void on_request_end(http2::Stream& stream) override;
  void on_closed(http2::Stream& stream, std::uint32_t error) override;
  void resume_body(ConnectionExchange& exchange) override;
  void refuse_unqueued(ConnectionExchange& exchange) override;
  void submit(Http2Exchange& exchange);
  void await_body(Http2Exchange& exchange);
  void refuse(Http2Exchange& exchange, const Refusal& refusal, Departure why);
  void forget(Http2Exchange& exchange);
  bool has_room_for_stream();

  // http2_answers.cpp: from answers to bytes
  void flush() override;
  void see_to_noted();
  void see_to(Http2Exchange& exchange);
  void begin_answer(Http2Exchange& exchange);
  void finish(Http2Exchange& exchange);
  void on_opaque(Http2Exchange& exchange, std::string_view bytes);
  void send_interim(Http2Exchange& exchange, const ResponseHead& head);
  void list_fields(Http2Exchange& exchange, const FieldSection& section);
  void send_page(Http2Exchange& exchange, const Refusal& refusal);
  http2::Offer offer(http2::Stream& stream, std::size_t most) override;
  bool take(http2::Stream& stream, std::size_t size, std::string& out) override;
  bool on_answer_written(http2::Stream& stream) override;
  void on_answer_failed(http2::Stream& stream, std::string_view why) override;
  bool make_frames();
  void complete_answers();

  http2::Session session_;
  std::vector<ExchangePtr> streams_;   // that the session knows
  std::deque<ExchangePtr> leaving_;    // answered, the last bytes of it not yet sent; in that order
  std::vector<ExchangePtr> departed_;  // whose client has left; a worker may still be on them
  std::size_t unplaced_ = 0;           // of these, the last ones, whose frames are being made
  std::vector<ExchangePtr> noted_;     // that have output
  std::vector<http2::HeaderField> fields_;  // of the section that is being made
  Deadline drain_deadline_;
  SteadyTime last_taken_;  // when content of any stream was last framed
  bool draining_ = false;
  bool came_aside_ = false;
  bool awaits_memory_ = false;
};

}  // namespace prowingen::embedded
