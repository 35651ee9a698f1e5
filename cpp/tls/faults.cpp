#include "tls/faults.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <system_error>

namespace prowingen::tls {
namespace {

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

// More than any chain, list of authorities or of revoked certificates has.
constexpr std::size_t largest_file = 64 * 1024 * 1024;

}  // namespace

void refuse(std::string_view option, std::string_view value, std::string_view why) {
  throw std::invalid_argument(
      std::string(option).append(": \"").append(value).append("\": ").append(why));
}

bool found_nothing() {
  const auto code = ERR_peek_error();
  return (ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE) ||
         ERR_GET_LIB(code) == ERR_LIB_OSSL_DECODER;
}

void refuse_unreadable(std::string_view option, const std::string& path, std::string_view what) {
  if (!found_nothing()) refuse(option, path, last_error());
  ERR_clear_error();
  refuse(option, path, std::string("there is no ").append(what).append(" (PEM) in it"));
}

std::string read_file(std::string_view option, const std::string& path) {
  const std::unique_ptr<std::FILE, CloseFile> file(std::fopen(path.c_str(), "rb"));
  if (!file) refuse(option, path, std::generic_category().message(errno));
  std::string text;
  std::array<char, 16 * 1024> piece;
  while (const auto got = std::fread(piece.data(), 1, piece.size(), file.get())) {
    text.append(piece.data(), got);
    if (text.size() > largest_file) refuse(option, path, "it is longer than 64 MiB");
  }
  if (std::ferror(file.get()) != 0) refuse(option, path, std::generic_category().message(errno));
  return text;
}

std::string last_error() {
  const auto code = ERR_peek_error();
  ERR_clear_error();
  if (ERR_SYSTEM_ERROR(code)) return std::generic_category().message(ERR_GET_REASON(code));
  const char* reason = code != 0 ? ERR_reason_error_string(code) : nullptr;
  return reason != nullptr ? reason : "the connection ended";
}

}  // namespace prowingen::tls
