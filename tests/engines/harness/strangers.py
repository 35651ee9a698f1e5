"""Thousands of clients that fill memory, in a process of their own.

`python strangers.py PORT BODIES HEADS READERS`: bodies of 1 MiB of which a little lacks, heads of
60 KiB that do not end, and readers of a generated answer that take 2 KiB a second of it. Says `all
there` once each has sent what the server takes, and has its first bytes if it reads, then goes on
until its standard input ends.
"""

from __future__ import annotations

import errno
import select
import socket
import sys
import time

BODY = b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 1048576\r\n\r\n"
BODY_SENT = BODY + bytes(1_040_000)
HEAD_SENT = b"GET /hello HTTP/1.1\r\nHost: a\r\n" + (b"X-Filler: %b\r\n" % (b"x" * 10_000)) * 6
READER_SENT = b"GET /generated?10485760 HTTP/1.1\r\nHost: a\r\n\r\n"
SETTLED = 1.0
"""Seconds without anything being taken after which the server takes no more."""
BITE = 2048


def connect(port: int, *, reads: bool) -> socket.socket:
    client = socket.socket()
    if reads:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", port))
    client.setblocking(False)
    return client


def main(port: int, bodies: int, heads: int, readers: int) -> None:
    plans = [(BODY_SENT, False)] * bodies + [(HEAD_SENT, False)] * heads
    plans += [(READER_SENT, True)] * readers
    poll = select.epoll()
    clients: dict[int, socket.socket] = {}
    left: dict[int, memoryview] = {}
    reading: list[socket.socket] = []
    for data, reads in plans:
        client = connect(port, reads=reads)
        clients[client.fileno()] = client
        left[client.fileno()] = memoryview(data)
        poll.register(client, select.EPOLLOUT)
        if reads:
            reading.append(client)
    poll.register(sys.stdin, select.EPOLLIN)
    unanswered = set(reading)
    last_progress, told = time.monotonic(), False
    turn = 0
    while True:
        for number, _event in poll.poll(0.05):
            if number == sys.stdin.fileno():
                return
            try:
                left[number] = left[number][clients[number].send(left[number][:65536]) :]
                last_progress = time.monotonic()
            except OSError as error:
                if error.errno == errno.EAGAIN:
                    continue
                left[number] = left[number][:0]
            if not left[number]:
                poll.modify(number, 0)
        # A twentieth of the readers at a time: each once a second.
        turn = (turn + 1) % 20
        for client in reading[turn::20]:
            try:
                client.recv(BITE)
            except BlockingIOError:
                continue
            except OSError:
                pass  # the server gave it up
            unanswered.discard(client)
        if not told and not unanswered and time.monotonic() - last_progress > SETTLED:
            told = True
            print("all there", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
