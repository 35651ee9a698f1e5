// Which of the sockets that share a UDP port gets a datagram of QUIC.
//
// The kernel would choose by the addresses and by how many sockets there are: a process that starts
// or ends would take the connections of others, and a client that moves would lose its own. So the
// ids that servers give their connections (RFC 9000 section 5.1) say which socket is theirs, and a
// program in the kernel reads them; it needs no privilege. Where it finds no such id, a connection
// begins, and one of the sockets that take new ones gets it. By the id that the client made up,
// which is by chance and the same in all that it sends until it knows the server's.
//
// An id, as mvfst writes its third version:
//
//   byte  0       1  2    3  4                    5         6, 7
//         11xxxxxx  mark    a process's first socket  its thread  by chance
//
// The sockets count in the order in which they were bound, and none may be closed before all are:
// the kernel would give its number to another one.
#pragma once

#include <cstdint>
#include <span>

namespace prowingen::datagrams {

/// What a server's ids begin with, of 2^18 that clients make up one as well.
constexpr std::uint16_t id_mark = 0x7057;

/// The first five bytes of ids but for the first one; mvfst's host id.
constexpr std::uint32_t id_of(std::uint16_t first_socket) {
  return std::uint32_t{id_mark} << 16 | first_socket;
}

/// Has the sockets that are bound to a port, of which one is `socket`, given what is theirs, and
/// new connections to these of them. Throws std::system_error.
void steer(int socket, std::span<const std::uint16_t> take_new);

}  // namespace prowingen::datagrams
