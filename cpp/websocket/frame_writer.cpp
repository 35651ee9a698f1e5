#include "websocket/frame_writer.h"

#include <cstdint>

namespace prowingen::websocket {
namespace {

constexpr std::size_t longest_head = 10;

std::string_view cut_reason(std::string_view reason) {
  if (reason.size() <= longest_reason) return reason;
  std::size_t size = longest_reason;
  while (size != 0 && (static_cast<unsigned char>(reason[size]) & 0xC0) == 0x80) --size;
  return reason.substr(0, size);
}

void add_head(Opcode opcode, std::uint64_t size, bool compressed, std::string& frame) {
  frame.push_back(
      static_cast<char>(0x80U | (compressed ? 0x40U : 0U) | static_cast<unsigned>(opcode)));

  const int octets = size <= longest_control ? 0 : size <= 0xFFFF ? 2 : 8;
  frame.push_back(static_cast<char>(octets == 0 ? size : octets == 2 ? 126 : 127));
  for (int at = octets; at-- > 0;) frame.push_back(static_cast<char>(size >> (8 * at)));
}

}  // namespace

std::string make_frame_head(Opcode opcode, std::uint64_t size, bool compressed) {
  std::string head;
  add_head(opcode, size, compressed, head);
  return head;
}

std::string make_frame(Opcode opcode, std::string_view payload, bool compressed) {
  std::string frame;
  frame.reserve(payload.size() + longest_head);
  add_head(opcode, payload.size(), compressed, frame);
  frame.append(payload);
  return frame;
}

std::string make_close_frame(const Close& close) {
  std::string payload;
  if (may_be_sent(close.code)) {
    payload.push_back(static_cast<char>(close.code >> 8));
    payload.push_back(static_cast<char>(close.code & 0xFF));
    payload.append(cut_reason(close.reason));
  }
  return make_frame(Opcode::close, payload);
}

}  // namespace prowingen::websocket
