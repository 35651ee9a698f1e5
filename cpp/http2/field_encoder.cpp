#include "http2/field_encoder.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <new>
#include <stdexcept>
#include <vector>

namespace prowingen::http2 {
namespace {

// As much as a peer has room for that has not said anything else (RFC 9113 section 6.5.2), and no
// more for one that has.
constexpr std::size_t table_size = 4096;

nghttp2_nv line(const char* name, std::size_t size, std::string_view value) {
  // nghttp2 does not write to them.
  const auto octets = [](const char* text) {
    return reinterpret_cast<std::uint8_t*>(const_cast<char*>(text));
  };
  return {octets(name), octets(value.data()), size, value.size(), NGHTTP2_NV_FLAG_NONE};
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

void check(long result) {
  if (result == NGHTTP2_ERR_NOMEM) throw std::bad_alloc();
  if (result < 0) {
    throw std::runtime_error(std::string("HPACK: ") + nghttp2_strerror(static_cast<int>(result)));
  }
}

}  // namespace

void FieldEncoder::Free::operator()(nghttp2_hd_deflater* deflater) const {
  nghttp2_hd_deflate_del(deflater);
}

FieldEncoder::FieldEncoder() {
  nghttp2_hd_deflater* made = nullptr;
  check(nghttp2_hd_deflate_new(&made, table_size));
  deflater_.reset(made);
}

void FieldEncoder::set_table_size(std::uint32_t size) {
  check(nghttp2_hd_deflate_change_table_size(deflater_.get(), size));
}

void FieldEncoder::encode(std::string_view status, std::span<const HeaderField> fields,
                          std::string& out) {
  std::size_t size = 0;
  for (const HeaderField& field : fields) size += field.name.size();
  std::string names(size, '\0');
  char* name = names.data();
  std::vector<nghttp2_nv> lines;
  lines.reserve(fields.size() + 1);
  constexpr std::string_view status_name = ":status";
  if (!status.empty()) lines.push_back(line(status_name.data(), status_name.size(), status));
  for (const HeaderField& field : fields) {
    lines.push_back(line(name, field.name.size(), field.value));
    name = std::ranges::transform(field.name, name, lower).out;
  }
  const auto before = out.size();
  const auto most = nghttp2_hd_deflate_bound(deflater_.get(), lines.data(), lines.size());
  out.resize(before + most);
  const auto used =
      nghttp2_hd_deflate_hd(deflater_.get(), reinterpret_cast<std::uint8_t*>(out.data() + before),
                            most, lines.data(), lines.size());
  check(used);
  out.resize(before + static_cast<std::size_t>(used));
}

}  // namespace prowingen::http2
