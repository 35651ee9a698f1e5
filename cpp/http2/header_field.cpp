#include "http2/header_field.h"

namespace prowingen::http2 {
namespace {

std::string_view trimmed(std::string_view value) {
  constexpr std::string_view space = " \t";
  const auto first = value.find_first_not_of(space);
  if (first == std::string_view::npos) return {};
  return value.substr(first, value.find_last_not_of(space) - first + 1);
}

}  // namespace

std::size_t list_fields(const FieldSection& section, std::vector<HeaderField>& fields) {
  std::size_t octets = 0;
  for (const FieldLine& field : section.fields()) {
    fields.push_back({section.view(field.name), trimmed(section.view(field.value))});
    octets += field.name.size + field.value.size;
  }
  return octets;
}

}  // namespace prowingen::http2
