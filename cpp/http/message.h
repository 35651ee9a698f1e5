// The heads of HTTP messages as every engine hands them over and takes them back.
//
// A head keeps all its text in one arena and refers to it by offsets, so that parsing a request
// or building a response costs no allocation per field, and the arena's capacity is reused.
// Bytes are kept as received: no case folding, no decoding (RFC 9110 section 5.5).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace prowingen {

/// Of two that are as long: whether they are equal but for the case of ASCII letters.
bool differ_in_case_alone(std::string_view a, std::string_view b);
/// ASCII case-insensitive equality, as field names and most tokens want it (RFC 9110 5.1). Most
/// that are compared are not as long as the other, and most that are equal have the same case.
inline bool equals_ignoring_case(std::string_view a, std::string_view b) {
  return a.size() == b.size() && (a == b || differ_in_case_alone(a, b));
}

struct Slice {
  std::uint32_t offset = 0;
  std::uint32_t size = 0;
};

struct FieldLine {
  Slice name;
  Slice value;
};

struct HttpVersion {
  std::uint8_t major = 1;
  std::uint8_t minor = 1;
  friend bool operator==(HttpVersion, HttpVersion) = default;
};

/// Request line and header section (RFC 9112 section 3 and 5), in the order received.
class RequestHead {
 public:
  void clear() {
    arena_.clear();
    fields_.clear();
    method_ = target_ = {};
    version = {};
  }

  void set_request_line(std::string_view method, std::string_view target, HttpVersion v) {
    method_ = store(method);
    target_ = store(target);
    version = v;
  }

  void add_field(std::string_view name, std::string_view value) {
    fields_.push_back({store(name), store(value)});
  }

  /// Removes every field called `name` (ASCII case-insensitive).
  void remove_fields(std::string_view name);

  std::string_view method() const { return view(method_); }
  /// The request target exactly as sent (RFC 9112 section 3.2).
  std::string_view target() const { return view(target_); }
  std::span<const FieldLine> fields() const { return fields_; }
  std::string_view view(Slice slice) const {
    return std::string_view(arena_).substr(slice.offset, slice.size);
  }
  /// Value of the first field called `name` (ASCII case-insensitive), or an empty view.
  std::string_view first(std::string_view name) const;

  /// Bytes that it takes.
  std::size_t memory() const { return arena_.size() + fields_.size() * sizeof(FieldLine); }

  HttpVersion version;

 private:
  Slice store(std::string_view text) {
    Slice slice{static_cast<std::uint32_t>(arena_.size()), static_cast<std::uint32_t>(text.size())};
    arena_.append(text);
    return slice;
  }

  std::string arena_;
  std::vector<FieldLine> fields_;
  Slice method_;
  Slice target_;
};

/// "GET /path HTTP/1.1"
std::string request_line_of(const RequestHead& request);

/// Field lines of a header or a trailer section. Its arena is the HTTP/1.1 wire form,
/// `Name: value CRLF` for each field, so that an HTTP/1.1 engine copies it whole and an engine
/// that wants structured fields walks the slices.
class FieldSection {
 public:
  void clear() {
    arena_.clear();
    fields_.clear();
  }

  void add_field(std::string_view name, std::string_view value) {
    const auto at = static_cast<std::uint32_t>(arena_.size());
    arena_.append(name).append(": ", 2).append(value).append("\r\n", 2);
    const auto name_size = static_cast<std::uint32_t>(name.size());
    fields_.push_back(
        {{at, name_size}, {at + name_size + 2, static_cast<std::uint32_t>(value.size())}});
  }

  std::span<const FieldLine> fields() const { return fields_; }
  std::string_view view(Slice slice) const {
    return std::string_view(arena_).substr(slice.offset, slice.size);
  }
  /// All field lines in wire form, without the empty line that ends the section.
  std::string_view wire() const { return arena_; }

  /// Bytes that it takes.
  std::size_t memory() const { return arena_.size() + fields_.size() * sizeof(FieldLine); }

 private:
  std::string arena_;
  std::vector<FieldLine> fields_;
};

/// Status and fields an application answered with.
class ResponseHead : public FieldSection {
 public:
  void clear() {
    FieldSection::clear();
    reason.clear();
    status = 0;
    has_date = has_server = closes = false;
  }

  int status = 0;
  std::string reason;
  /// The application brought its own; the server adds none.
  bool has_date = false;
  bool has_server = false;
  /// The application wants the connection closed after this answer.
  bool closes = false;
};

}  // namespace prowingen
