#include "processes/datagram_steering.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <vector>

#if defined(__linux__)
#include <linux/filter.h>
#endif

namespace prowingen::datagrams {

#if defined(__linux__)

namespace {

// Offsets from where X is: the id's place in a short header (RFC 9000 section 17.3), and in a long
// one (17.2), after its length.
constexpr std::uint32_t in_short_header = 1;
constexpr std::uint32_t in_long_header = 6;
constexpr std::uint32_t made_up_part = 4;

constexpr std::size_t most_instructions = BPF_MAXINSNS;

sock_filter statement(unsigned code, std::uint32_t value) {
  return BPF_STMT(static_cast<std::uint16_t>(code), value);
}

sock_filter jump(unsigned code, std::uint32_t value, std::uint8_t if_true, std::uint8_t if_false) {
  return BPF_JUMP(static_cast<std::uint16_t>(code), value, if_true, if_false);
}

// What it loads from beyond the datagram's end has it return 0: too short for QUIC.
std::vector<sock_filter> program(std::span<const std::uint16_t> take_new) {
  std::vector<sock_filter> made{
      statement(BPF_LD | BPF_B | BPF_ABS, 0),
      jump(BPF_JMP | BPF_JSET | BPF_K, 0x80, 2, 0),
      statement(BPF_LDX | BPF_IMM, in_short_header),
      statement(BPF_JMP | BPF_JA, 1),
      statement(BPF_LDX | BPF_IMM, in_long_header),
      // A server's id: its socket.
      statement(BPF_LD | BPF_B | BPF_IND, 0),
      statement(BPF_ALU | BPF_AND | BPF_K, 0xc0),
      jump(BPF_JMP | BPF_JEQ | BPF_K, 0xc0, 0, 8),
      statement(BPF_LD | BPF_H | BPF_IND, 1),
      jump(BPF_JMP | BPF_JEQ | BPF_K, id_mark, 0, 6),
      statement(BPF_LD | BPF_B | BPF_IND, 5),
      statement(BPF_ST, 0),
      statement(BPF_LD | BPF_H | BPF_IND, 3),
      statement(BPF_LDX | BPF_MEM, 0),
      statement(BPF_ALU | BPF_ADD | BPF_X, 0),
      statement(BPF_RET | BPF_A, 0),
      // A client's.
      statement(BPF_LD | BPF_W | BPF_IND, made_up_part),
  };
  const auto most = (most_instructions - made.size() - 2) / 2;
  const auto sockets = take_new.first(std::min(take_new.size(), most));
  made.push_back(statement(BPF_ALU | BPF_MOD | BPF_K, static_cast<std::uint32_t>(sockets.size())));
  for (std::uint32_t i = 0; i < sockets.size(); ++i) {
    made.push_back(jump(BPF_JMP | BPF_JEQ | BPF_K, i, 0, 1));
    made.push_back(statement(BPF_RET | BPF_K, sockets[i]));
  }
  made.push_back(statement(BPF_RET | BPF_K, 0));  // never reached
  return made;
}

}  // namespace

void steer(int socket, std::span<const std::uint16_t> take_new) {
  auto instructions = program(take_new);
  const sock_fprog prog{static_cast<unsigned short>(instructions.size()), instructions.data()};
  if (::setsockopt(socket, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &prog, sizeof prog) != 0) {
    throw std::system_error(errno, std::generic_category(), "SO_ATTACH_REUSEPORT_CBPF");
  }
}

#else

void steer(int, std::span<const std::uint16_t>) {
  throw std::system_error(ENOPROTOOPT, std::generic_category(), "SO_ATTACH_REUSEPORT_CBPF");
}

#endif

}  // namespace prowingen::datagrams
