// A FrameReader whose owner does what a session of proxygen's does with it. Where the network cuts
// the bytes can make no difference to what it tells.
#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "http/octets.h"
#include "http2/frame_reader.h"
#include "targets.h"

namespace prowingen::fuzz {
namespace {

using http2::ErrorCode;

/// Answers each request at its end but every third one, which its client has to reset.
class Owner final : private http2::FrameEvents {
 public:
  explicit Owner(const RequestLimits& limits) : reader_(*this, limits), limits_(limits) {}

  bool receive(std::string_view bytes) {
    const bool goes_on = reader_.receive(bytes, http2::FrameReader::Time() + std::chrono::hours(1));
    must(goes_on == (reader_.error().code == ErrorCode::no_error), "an end without a reason");
    must(reader_.held() <= http2::max_frame_size + http2::frame_header_size +
                               2 * http2::HeadReader::patience(limits_),
         "more is kept of a frame than the limits let");
    return goes_on;
  }
  /// All that was told, as one text.
  std::string finish() {
    for (auto& [id, stream] : streams_) reader_.reset(id, ErrorCode::cancel);
    must(reader_.open_streams() == 0 && reader_.waiting() == 0, "a stream is left");
    told_ += "over " + std::to_string(static_cast<int>(reader_.error().code));
    for (const auto& [id, text] : contents_) told_ += "; " + std::to_string(id) + "=" + text;
    return std::move(told_) + "; dropped " + std::to_string(dropped_) + " padded " +
           std::to_string(padded_);
  }

 private:
  struct Stream {
    RequestHead head;
    bool told = false;
    bool whole = false;
    std::optional<std::uint64_t> length;
    std::uint64_t content = 0;
  };

  void add(std::string_view what, std::int32_t stream, std::string_view more = {}) {
    told_.append(what).append(" ").append(std::to_string(stream)).append(more).append("; ");
  }
  Stream& known(std::int32_t id) {
    const auto found = streams_.find(id);
    must(found != streams_.end() && reader_.is_open(id), "a stream is told of that is not open");
    return found->second;
  }

  RequestHead* open(std::int32_t id) override {
    must(id % 2 == 1 && id > last_, "a stream is opened that a client cannot open");
    last_ = id;
    return streams_.size() < 4 ? &streams_[id].head : nullptr;
  }
  void on_request(std::int32_t id, const http2::HeadReader::Result& head, bool whole) override {
    Stream& stream = known(id);
    must(!std::exchange(stream.told, true), "a request is told of twice");
    must(head.outcome != http2::HeadReader::Outcome::malformed, "a malformed request is told of");
    if (head.semantics.framing == BodyFraming::content_length) {
      stream.length = head.semantics.content_length;
    }
    add("request", id, whole ? " whole" : "");
    told_.append(stream.head.method()).append(" ").append(stream.head.target());
    for (const FieldLine& field : stream.head.fields()) {
      const auto name = stream.head.view(field.name);
      must(is_token(name) && is_field_value(stream.head.view(field.value)), "a malformed field");
      told_.append(" ").append(name).append("=").append(stream.head.view(field.value));
    }
    told_ += head.verdict != nullptr ? " refused" : "";
  }
  void on_content(std::int32_t id, std::string_view bytes, std::size_t padding) override {
    Stream& stream = known(id);
    must(stream.told && !stream.whole, "content comes before its head, or after its end");
    stream.content += bytes.size();
    contents_[id].append(bytes);
    padded_ += padding;
    reader_.note_waiting(id, bytes.size());
    if (id % 4 == 1) reader_.note_taken(id);
  }
  void on_dropped(std::string_view bytes) override { dropped_ += bytes.size(); }
  void on_trailers(std::int32_t id, const FieldSection& fields) override {
    must(known(id).told, "trailers come before their head");
    add("trailers", id, fields.wire());
  }
  void on_request_end(std::int32_t id) override {
    Stream& stream = known(id);
    must(stream.told && !std::exchange(stream.whole, true), "a request ends twice");
    must(!stream.length || *stream.length == stream.content,
         "a request's content is not as long as its head has said");
    add("end", id);
    if (id % 3 == 0) return;
    reader_.note_sent(stream.content);
    streams_.erase(id);
    reader_.end_answer(id);
    must(!reader_.is_open(id), "a stream is open that both sides have ended");
  }
  void on_reset(std::int32_t id, std::uint32_t code) override {
    must(streams_.erase(id) == 1, "a stream is reset that is not open");
    add("reset", id, " " + std::to_string(code));
  }
  void on_stream_error(std::int32_t id, ErrorCode code, std::string_view) override {
    must(code != ErrorCode::no_error, "an error that is none");
    add("error", id, " " + std::to_string(static_cast<int>(code)));
    streams_.erase(id);
    reader_.reset(id, code);
  }
  void on_window_update(std::int32_t id, std::uint32_t size) override {
    must(size != 0 && size <= http2::max_window, "a window is opened by what it cannot");
    if (id != 0) known(id);
    add("window", id, " " + std::to_string(size));
  }
  void on_settings(std::string_view pairs) override {
    must(pairs.size() % 6 == 0, "half a setting");
    add("settings", static_cast<std::int32_t>(pairs.size()));
  }
  void on_settings_ack() override { add("ack", 0); }
  void on_ping(std::string_view payload, bool ack) override {
    must(payload.size() == 8, "a ping of another size");
    add("ping", ack ? 1 : 0);
  }

  http2::FrameReader reader_;
  const RequestLimits& limits_;
  std::map<std::int32_t, Stream> streams_;
  std::map<std::int32_t, std::string> contents_;
  std::string told_;
  std::int32_t last_ = 0;
  std::uint64_t dropped_ = 0;
  std::uint64_t padded_ = 0;
};

// Small ones, so that small inputs go beyond them.
constexpr RequestLimits limits{.max_request_line = 200,
                               .max_header_bytes = 1000,
                               .max_header_fields = 20,
                               .max_trailer_bytes = 200};

}  // namespace

void http2_frames(std::string_view bytes) {
  Owner whole(limits);
  whole.receive(bytes);
  const auto told = whole.finish();

  const auto cut = place_to_cut(bytes);
  Owner in_two(limits);
  if (in_two.receive(bytes.substr(0, cut))) in_two.receive(bytes.substr(cut));
  must_agree(told, in_two.finish());

  if (bytes.size() > 512) return;
  Owner in_octets(limits);
  for (std::size_t i = 0; i < bytes.size() && in_octets.receive(bytes.substr(i, 1)); ++i) {
  }
  must_agree(told, in_octets.finish());
}

}  // namespace prowingen::fuzz
