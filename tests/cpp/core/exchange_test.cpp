// The states of an exchange: the whole table, its one terminal event, and being used again.
// What goes through it is tested in exchange_body_test.cpp and exchange_output_test.cpp.
#include "core/exchange.h"

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "core/engine.h"
#include "no_transport.h"

namespace prowingen {
namespace {

using namespace std::literals;
using enum ExchangeState;
using Event = ExchangeEvent;

constexpr std::array all_states{receiving, queued,    running, responding,
                                finished,  completed, aborted, departed};
constexpr std::array all_events{Event::submit,  Event::take,  Event::head,  Event::finish,
                                Event::written, Event::abort, Event::depart};
constexpr std::size_t high_water = 1000;

struct TestExchange final : Exchange {
  using Exchange::Exchange;
  using Exchange::recycle;
};

// ---- the table

TEST(ExchangeTable, HasTheArrowsOfTheDiagramAndNoOthers) {
  const std::map<std::pair<ExchangeState, Event>, ExchangeState> arrows{
      {{receiving, Event::submit}, queued},    {{queued, Event::take}, running},
      {{running, Event::head}, responding},    {{responding, Event::finish}, finished},
      {{finished, Event::written}, completed}, {{running, Event::abort}, aborted},
      {{responding, Event::abort}, aborted},   {{receiving, Event::depart}, departed},
      {{queued, Event::depart}, departed},     {{running, Event::depart}, departed},
      {{responding, Event::depart}, departed}, {{finished, Event::depart}, departed},
      {{completed, Event::depart}, completed}, {{aborted, Event::depart}, aborted},
      {{finished, Event::abort}, finished},    {{completed, Event::abort}, completed},
      {{aborted, Event::abort}, aborted},
  };
  for (const auto state : all_states) {
    for (const auto event : all_events) {
      SCOPED_TRACE("state " + std::to_string(static_cast<int>(state)) + ", event " +
                   std::to_string(static_cast<int>(event)));
      const auto arrow = arrows.find({state, event});
      if (state == departed) {
        // Whoever has not heard of the departure yet may go on for a while.
        EXPECT_EQ(next_state(state, event), departed);
      } else if (arrow != arrows.end()) {
        EXPECT_EQ(next_state(state, event), arrow->second);
      } else {
        EXPECT_THROW(next_state(state, event), std::logic_error);
      }
    }
  }
}

TEST(ExchangeTable, IllegalEventNamesTheStateAndItself) {
  try {
    next_state(completed, Event::take);
    FAIL();
  } catch (const std::logic_error& error) {
    EXPECT_STREQ(error.what(), "exchange: event 1 is illegal in state 5");
  }
}

// ---- the same through the object

class ExchangeTest : public testing::Test {
 protected:
  // Makes the event happen the way I/O threads and workers make it.
  void cause(Event event) {
    switch (event) {
      case Event::submit: return exchange->submit();
      case Event::take: return static_cast<void>(exchange->take());
      case Event::head: return static_cast<void>(exchange->push({}, high_water, false));
      case Event::finish: return static_cast<void>(exchange->push({}, high_water, true));
      case Event::written: return exchange->written();
      case Event::abort: return exchange->abort();
      case Event::depart: return exchange->depart(Departure::client_closed);
    }
  }

  void reach(ExchangeState state) {
    exchange = std::make_shared<TestExchange>(transport);
    const std::map<ExchangeState, std::vector<Event>> paths{
        {receiving, {}},
        {queued, {Event::submit}},
        {running, {Event::submit, Event::take}},
        {responding, {Event::submit, Event::take, Event::head}},
        {finished, {Event::submit, Event::take, Event::head, Event::finish}},
        {completed, {Event::submit, Event::take, Event::head, Event::finish, Event::written}},
        {aborted, {Event::submit, Event::take, Event::abort}},
        {departed, {Event::submit, Event::depart}},
    };
    for (const Event event : paths.at(state)) cause(event);
    ASSERT_EQ(exchange->state(), state);
  }

  NoTransport transport;
  std::shared_ptr<TestExchange> exchange;
};

TEST_F(ExchangeTest, CallsAreTheEventsOfTheTable) {
  // The first push brings the head and later ones do not, so that `head` and `finish` are one call.
  for (const auto state : all_states) {
    for (const auto event : {Event::submit, Event::take, Event::written, Event::abort}) {
      reach(state);
      ExchangeState expected;
      try {
        expected = next_state(state, event);
      } catch (const std::logic_error&) {
        EXPECT_THROW(cause(event), std::logic_error);
        expected = state;
      }
      if (exchange->state() == state && expected != state) cause(event);
      EXPECT_EQ(exchange->state(), expected)
          << static_cast<int>(state) << ' ' << static_cast<int>(event);
    }
  }
}

TEST_F(ExchangeTest, OnePushMayBringHeadAndEnd) {
  reach(running);
  EXPECT_EQ(exchange->push(Chunk("all of it"s), high_water, true), Exchange::Push::ok);
  EXPECT_EQ(exchange->state(), finished);
}

TEST_F(ExchangeTest, EndsOnce) {
  reach(finished);
  EXPECT_THROW(exchange->push({}, high_water, true), std::logic_error);
  EXPECT_EQ(exchange->push(Chunk("behind it"s), high_water, false), Exchange::Push::departed);
  exchange->abort();  // whose answer is whole
  EXPECT_EQ(exchange->state(), finished);
  reach(aborted);
  exchange->abort();
  EXPECT_EQ(exchange->push({}, high_water, true), Exchange::Push::departed);
  EXPECT_EQ(exchange->state(), aborted);
}

TEST_F(ExchangeTest, TakeTellsTheWorkerWhetherAnybodyWaits) {
  reach(queued);
  EXPECT_TRUE(exchange->take());
  reach(queued);
  exchange->depart(Departure::client_closed);
  EXPECT_FALSE(exchange->take());
  EXPECT_FALSE(exchange->client_waits());
}

TEST_F(ExchangeTest, ClientWaitsUntilItHasDeparted) {
  for (const auto state : all_states) {
    reach(state);
    EXPECT_EQ(exchange->client_waits(), state != departed);
  }
}

// ---- the terminal event

// Once completed, aborted or departed, no sequence of events makes it anything else.
TEST_F(ExchangeTest, HasOneTerminalEvent) {
  for (const auto terminal : {completed, aborted, departed}) {
    for (const auto first : all_events) {
      for (const auto second : all_events) {
        reach(terminal);
        for (const auto event : {first, second}) {
          try {
            cause(event);
          } catch (const std::logic_error&) {
            // An error of the caller, which must not change anything.
          }
          ASSERT_EQ(exchange->state(), terminal);
        }
      }
    }
  }
}

TEST_F(ExchangeTest, FirstDepartureIsTheReason) {
  reach(running);
  EXPECT_EQ(exchange->departure(), Departure::none);
  exchange->depart(Departure::body_timeout);
  exchange->depart(Departure::server_stopped);
  EXPECT_EQ(exchange->departure(), Departure::body_timeout);
}

struct EndNote final : ExchangeEndListener {
  void on_end(bool departed) override { ends.push_back(departed); }
  std::vector<bool> ends;
};

TEST_F(ExchangeTest, EndIsToldOnce) {
  const std::vector<std::pair<Event, bool>> endings{
      {Event::depart, true}, {Event::abort, false}, {Event::written, false}};
  for (const auto& [ending, early] : endings) {
    reach(ending == Event::written ? finished : running);
    const auto note = std::make_shared<EndNote>();
    ASSERT_TRUE(exchange->tell_of_end(note));
    EXPECT_TRUE(note->ends.empty());
    cause(ending);
    exchange->depart(Departure::server_stopped);
    EXPECT_EQ(note->ends, std::vector{early});
    EXPECT_EQ(note.use_count(), 1) << "nobody else has it";
    EXPECT_FALSE(exchange->tell_of_end(note));
  }
}

TEST_F(ExchangeTest, EndIsToldBesideAWatcher) {
  struct Watcher final : ExchangeWatcher {
    void on_change() override { ++changes; }
    int changes = 0;
  };
  reach(running);
  const auto note = std::make_shared<EndNote>();
  const auto watcher = std::make_shared<Watcher>();
  exchange->tell_of_end(note);
  exchange->watch(watcher);
  exchange->append_body("x", high_water);
  EXPECT_EQ(watcher->changes, 1);
  exchange->unwatch(*watcher);
  exchange->depart(Departure::client_closed);
  EXPECT_EQ(watcher->changes, 1);
  EXPECT_EQ(note->ends, std::vector{true});
}

TEST_F(ExchangeTest, DepartureComesTooLateForWhatIsOver) {
  for (const auto over : {completed, aborted}) {
    reach(over);
    exchange->depart(Departure::client_closed);
    EXPECT_EQ(exchange->state(), over);
    EXPECT_EQ(exchange->departure(), Departure::none);
  }
}

TEST(DepartureText, EachReasonHasItsOwn) {
  std::map<std::string_view, Departure> seen;
  for (int i = 0; i <= static_cast<int>(Departure::server_stopped); ++i) {
    const auto departure = static_cast<Departure>(i);
    const auto text = describe(departure);
    EXPECT_NE(text, "unknown") << i;
    EXPECT_TRUE(seen.emplace(text, departure).second) << text;
  }
}

// ---- being used again

TEST_F(ExchangeTest, RecycledIsAsGoodAsNew) {
  for (const auto state : {completed, aborted, departed}) {
    reach(state);
    exchange->request.set_request_line("POST", "/old", {1, 0});
    exchange->request.add_field("Old", "1");
    exchange->response.add_field("Old", "1");
    exchange->response.has_date = true;
    exchange->response_body.add_length_field = true;
    exchange->has_body = exchange->expects_continue = true;
    exchange->received_at = exchange->taken_at = std::chrono::steady_clock::now();
    exchange->append_body("old body", 1);
    exchange->finish_body();

    exchange->recycle();

    EXPECT_EQ(exchange->state(), receiving);
    EXPECT_EQ(exchange->departure(), Departure::none);
    EXPECT_EQ(exchange->request.method(), "");
    EXPECT_EQ(exchange->request.target(), "");
    EXPECT_TRUE(exchange->request.fields().empty());
    EXPECT_TRUE(exchange->request.version == HttpVersion{});
    EXPECT_EQ(exchange->response.wire(), "");
    EXPECT_FALSE(exchange->response.has_date);
    EXPECT_FALSE(exchange->response_body.add_length_field);
    EXPECT_TRUE(exchange->response_body.allowed);
    EXPECT_FALSE(exchange->has_body || exchange->expects_continue);
    EXPECT_TRUE(exchange->received_at == SteadyTime() && exchange->taken_at == SteadyTime());
    EXPECT_FALSE(exchange->body_ready()) << "no byte of the old body, no end of it";
  }
}

TEST_F(ExchangeTest, RecycledServesAnotherRequest) {
  reach(responding);
  static_cast<void>(exchange->push(Chunk(std::string(high_water, 'o')), high_water, false));
  exchange->depart(Departure::client_closed);
  exchange->recycle();

  exchange->append_body("new", 100);
  exchange->finish_body();
  exchange->submit();
  ASSERT_TRUE(exchange->take());
  std::string body;
  EXPECT_EQ(exchange->read_body(body), Exchange::Read::bytes);
  EXPECT_EQ(body, "new");
  EXPECT_EQ(exchange->read_body(body), Exchange::Read::end);
  EXPECT_EQ(exchange->push(Chunk("answer"s), high_water, true), Exchange::Push::ok);
  Exchange::Output output;
  exchange->take_output(output);
  EXPECT_TRUE(output.head && output.finished && !output.aborted);
  ASSERT_EQ(output.chunks.size(), 1U);
  EXPECT_EQ(*output.chunks[0].own(), "answer");
  exchange->written();
  EXPECT_EQ(exchange->state(), completed);
}

}  // namespace
}  // namespace prowingen
