"""What the processes of a room say to each other by Redis, and the clients that they say it with.

A message on a room's channel is `t` for text or `b` for binary, the 16 octets of the id that its
process has given itself, and the text in UTF-8 or the octets:

    b"t" + 16 octets + "žluťoučký".encode()

Others may publish such messages too, by any id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

try:
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry
except ImportError as error:
    raise ImportError(
        "prowingen_wsgi.contrib.redis_rooms: the package redis is needed: "
        "pip install 'prowingen-wsgi[redis]'"
    ) from error

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["checked", "connector", "decode", "encode", "redis"]

# In seconds: for Redis to take a connection, or to answer.
_NETWORK_TIMEOUT = 5.0
_TEXT, _BINARY = b"t", b"b"
_ID_SIZE = 16


def encode(sender: bytes, data: str | bytes) -> bytes:
    """A message as it is on the wire."""
    if isinstance(data, str):
        return _TEXT + sender + data.encode()
    return _BINARY + sender + bytes(data)


def decode(payload: bytes) -> tuple[bytes, str | bytes]:
    """Who sent it and the message. Raises ValueError for what is none."""
    kind, sender, data = payload[:1], payload[1 : 1 + _ID_SIZE], payload[1 + _ID_SIZE :]
    if kind not in (_TEXT, _BINARY) or len(sender) != _ID_SIZE:
        raise ValueError(f"it begins with {payload[:17]!r}: must be t or b, and 16 octets")
    return sender, data.decode() if kind == _TEXT else data


def connector(
    server: str | Callable[[], redis.Redis], options: Mapping[str, Any]
) -> Callable[[], redis.Redis]:
    """What makes a client, which connects when it is first used."""
    if callable(server):
        if options:
            raise TypeError("options are for a URL: " + ", ".join(options))
        return server
    url = server
    # Retries are the link's: the library's own would send a message twice.
    wanted: dict[str, Any] = {
        "socket_timeout": _NETWORK_TIMEOUT,
        "socket_connect_timeout": _NETWORK_TIMEOUT,
        "protocol": 2,
        **options,
        "retry": Retry(NoBackoff(), 0),
    }
    redis.Redis.from_url(url, **wanted).close()  # so that what is wrong is known at once
    return lambda: redis.Redis.from_url(url, **wanted)


def checked(client: redis.Redis) -> redis.Redis:
    if client.get_connection_kwargs().get("decode_responses"):
        raise redis.RedisError("decode_responses: must be off, as messages may be binary")
    return client
