#include "http2/field_decoder.h"

#include <nghttp2/nghttp2.h>

#include <new>

namespace prowingen::http2 {
namespace {

std::string_view text(const std::uint8_t* octets, std::size_t size) {
  return {reinterpret_cast<const char*>(octets), size};
}

}  // namespace

void FieldDecoder::Free::operator()(nghttp2_hd_inflater* inflater) const {
  nghttp2_hd_inflate_del(inflater);
}

FieldDecoder::FieldDecoder() {
  nghttp2_hd_inflater* made = nullptr;
  if (nghttp2_hd_inflate_new(&made) != 0) throw std::bad_alloc();
  inflater_.reset(made);
}

FieldDecoder::Outcome FieldDecoder::decode(std::string_view fragment, bool last, FieldSink& sink) {
  for (;;) {
    nghttp2_nv field{};
    int found = NGHTTP2_HD_INFLATE_NONE;
    const auto used = nghttp2_hd_inflate_hd2(inflater_.get(), &field, &found,
                                             reinterpret_cast<const std::uint8_t*>(fragment.data()),
                                             fragment.size(), last ? 1 : 0);
    if (used == NGHTTP2_ERR_NOMEM) throw std::bad_alloc();
    if (used < 0) return Outcome::malformed;
    fragment.remove_prefix(static_cast<std::size_t>(used));
    if ((found & NGHTTP2_HD_INFLATE_EMIT) != 0 &&
        !sink.on_field(text(field.name, field.namelen), text(field.value, field.valuelen))) {
      return Outcome::unwanted;
    }
    if ((found & NGHTTP2_HD_INFLATE_FINAL) != 0) {
      nghttp2_hd_inflate_end_headers(inflater_.get());
      return Outcome::decoded;
    }
    if ((found & NGHTTP2_HD_INFLATE_EMIT) == 0 && fragment.empty()) return Outcome::decoded;
  }
}

}  // namespace prowingen::http2
