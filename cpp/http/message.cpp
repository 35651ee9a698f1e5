#include "http/message.h"

#include <algorithm>

namespace prowingen {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

}  // namespace

bool differ_in_case_alone(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, {}, lower, lower);
}

void RequestHead::remove_fields(std::string_view name) {
  std::erase_if(fields_,
                [&](const FieldLine& f) { return equals_ignoring_case(view(f.name), name); });
}

std::string_view RequestHead::first(std::string_view name) const {
  const auto found = std::ranges::find_if(
      fields_, [&](const FieldLine& f) { return equals_ignoring_case(view(f.name), name); });
  return found == fields_.end() ? std::string_view() : view(found->value);
}

std::string request_line_of(const RequestHead& request) {
  std::string line(request.method());
  line.append(" ").append(request.target()).append(" HTTP/");
  line.push_back(static_cast<char>('0' + request.version.major));
  line.push_back('.');
  line.push_back(static_cast<char>('0' + request.version.minor));
  return line;
}

}  // namespace prowingen
