#include "engine_embedded/http1_connection.h"

#include "core/engine_figures.h"
#include "engine_embedded/io_thread.h"
#include "http1/response_writer.h"

namespace prowingen::embedded {

void Http1Connection::look_for_client(ConnectionExchange& exchange) {
  // What is being sent will tell, and those ahead of it may have something to send.
  if (!all_sent() || pipeline_.empty() || pipeline_.front().get() != &exchange) return;
  using Client = ConnectionExchange::Client;
  const bool can_be_asked = exchange.may_be_sent_interim();
  const auto client = exchange.look_at_client(channel_.socket(), io_.now(), can_be_asked);
  if (client == Client::gone) return close(Departure::client_closed);
  if (client != Client::asked_for) return;
  out_.text().append(http1::continue_response);
  flush();
}

// ---------------------------------------------------------------------------- endings

void Http1Connection::shut_down_gracefully() {
  for (const auto& exchange : pipeline_) abandon(*exchange, Departure::client_closed);
  pipeline_.clear();
  if (held_) abandon(*std::exchange(held_, nullptr), Departure::client_closed);
  unread_input_ |= reading_ != Reading::done || !carried_.empty();
  std::string().swap(carried_);
  reading_ = Reading::done;
  shut_down(unread_input_);
}

void Http1Connection::stop_working() {
  last_answer_ = true;
  reading_ = Reading::done;
}

bool Http1Connection::still_due(TimeLimit limit, unsigned requests) const {
  switch (limit.kind) {
    case Timeout::header:
      return reading_ == Reading::head && pause_ != Pause::memory && requests_ == requests;
    case Timeout::keep_alive:
    case Timeout::drain: return idle() && !read_deadline_.armed();
    case Timeout::body:
      return (reading_ == Reading::body || reading_ == Reading::discard) && pause_ == Pause::none &&
             !read_deadline_.armed();
    default: return true;
  }
}

void Http1Connection::handle_timeout(TimeLimit limit) {
  switch (limit.kind) {
    case Timeout::header:
      if (carried_.empty()) return end();
      incoming_ = make_exchange();
      return refuse(refusal(RequestFault::request_timeout));
    case Timeout::body:
      if (reading_ != Reading::body) return close(Departure::client_closed);
      return refuse_unfinished(Departure::body_timeout);
    default: return end();  // nothing is under way
  }
}

void Http1Connection::begin_drain() {
  if (!idle()) return;  // its next answer says `Connection: close`
  if (requests_ != 0 && io_.now() - idle_since_ >= drain_grace) {
    disarm(read_deadline_);
    return on_timeout({Timeout::drain});
  }
  arm(read_deadline_, Timeout::drain);
}

void Http1Connection::drop_exchanges(Departure why) {
  for (const auto& exchange : pipeline_) {
    // Its end is the connection's end, so only a reset tells that it is not whole.
    if (exchange->head_written && ends_with_connection(exchange->framing)) {
      reset_on_close_ = true;
    }
    abandon(*exchange, why);  // first: afterwards no worker writes to what is logged
    log(*exchange, exchange->head_written ? exchange->sent_head().status : 0, false);
    exchange->forget_request();
  }
  pipeline_.clear();
  for (auto* left : {&held_, &incoming_}) {
    if (!*left) continue;
    abandon(**left, why);
    (*left)->forget_request();
    left->reset();
  }
  std::string().swap(carried_);
}

std::shared_ptr<Http1Exchange> Http1Connection::make_exchange() {
  auto exchange = io_.make_http1_exchange();
  exchange->peer = info_;
  return exchange;
}

}  // namespace prowingen::embedded
