"""WebSockets as views of Django's: a function that has one until it returns, or a class with a
method for each of its events.

    @websocket_view
    def echo(request, socket):
        for message in socket:
            socket.send(message)

Decorators, mixins and middlewares come before the handshake, and may refuse it by an ordinary
answer. What comes behind it is no answer any more: the empty one that a view returns here goes back
through the middlewares, and then nowhere. So a session is saved as ever, at the end of a function
and once a class's view has accepted; a new cookie is lost.

A page may connect if a form of it might be posted: from the request's own host, which ALLOWED_HOSTS
has, and from CSRF_TRUSTED_ORIGINS. Middlewares see a GET, and have no say in this.
"""

from __future__ import annotations

from functools import partial, wraps
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from django.conf import settings
from django.core.signals import got_request_exception
from django.db import close_old_connections, transaction
from django.http import HttpRequest, HttpResponse
from django.utils.http import is_same_domain
from django.views import View

from prowingen_wsgi import websocket

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    DjangoView = Callable[..., HttpResponse]

__all__ = ["WebSocketView", "websocket_view"]


def websocket_view(
    view: Callable[..., object] | None = None, **options: Any
) -> DjangoView | Callable[[Callable[..., object]], DjangoView]:
    """A view that is called with the request, its WebSocket and what the URL has: `@websocket_view`
    or `@websocket_view(subprotocols=["chat"])`.

    options: of `prowingen_wsgi.websocket.accept`, without callbacks. origins: Django's own, which
        are said above, unless they are given.

    It has the WebSocket until it returns, on a thread of its own. Then it is closed: with 1000, or
    with 1011 if it raised, which Django is told of as of any view's error.
    """
    if view is None:
        return partial(websocket_view, **options)
    talk = view

    @wraps(talk)
    def answer(request: HttpRequest, *arguments: Any, **named: Any) -> HttpResponse:
        accepted = _accept(request, options)
        if isinstance(accepted, HttpResponse):
            return accepted
        close_old_connections()  # whoever has looked for the user: it may take hours from here
        with accepted as socket:
            try:
                talk(request, socket, *arguments, **named)
            except websocket.ConnectionClosed:
                if not socket.closed:  # it was another's
                    raise
        return HttpResponse()

    return transaction.non_atomic_requests(answer)  # type: ignore[no-any-return]


class WebSocketView(View):  # type: ignore[misc]
    """A view with a method for each event of a WebSocket, of which it has one: `as_view()` makes a
    new instance for each request, with `request`, `args` and `kwargs`.

    The methods are called on the worker pool, one after the other; in between the WebSocket holds
    neither a thread nor a connection to a database. What one of them raises is logged, and closes
    it with 1011.
    """

    http_method_names: ClassVar[list[str]] = ["get"]
    accept_options: Mapping[str, Any] = {}
    """Of `prowingen_wsgi.websocket.accept`, without callbacks; as those of `websocket_view`."""

    def on_open(self, socket: websocket.WebSocket) -> None:
        """The handshake is answered."""

    def on_message(self, socket: websocket.WebSocket, message: str | bytes) -> None:
        """One has come."""

    def on_close(self, socket: websocket.WebSocket, code: int, reason: str) -> None:
        """It is over."""

    def get(self, request: HttpRequest, *_arguments: Any, **_named: Any) -> HttpResponse:
        calls = {name: partial(self._call, name) for name in ("on_open", "on_message", "on_close")}
        accepted = _accept(request, self.accept_options, **calls)
        return accepted if isinstance(accepted, HttpResponse) else HttpResponse()

    def _call(self, name: str, *arguments: Any) -> None:
        """As Django does it around a request."""
        close_old_connections()
        try:
            getattr(self, name)(*arguments)
        except Exception as error:
            ended = isinstance(error, websocket.ConnectionClosed) and arguments[0].closed
            if not ended:
                got_request_exception.send(sender=type(self), request=self.request)
            raise
        finally:
            close_old_connections()


def _accept(
    request: HttpRequest, options: Mapping[str, Any], **callbacks: Callable[..., object]
) -> websocket.WebSocket | HttpResponse:
    """A WebSocket; or what to answer, which counts unless the server has done so."""
    if not websocket.is_websocket(request.META):
        if "websocket" in request.META.get("HTTP_UPGRADE", "").lower():
            return _refusal(501, "This server gives no WebSockets.")
        return _refusal(400, "This is for WebSockets.")
    if "origins" not in options and not _may_connect(request):
        return _refusal(403, "This page may not connect.")
    try:
        return websocket.accept(request.META, **{"origins": "*", **options, **callbacks})
    except ConnectionError as error:  # none of these need be caught, but Django would log them
        return _refusal(400, str(error))


def _refusal(status: int, why: str) -> HttpResponse:
    return HttpResponse(f"{why}\n", status=status, content_type="text/plain; charset=utf-8")


def _may_connect(request: HttpRequest) -> bool:
    """As CsrfViewMiddleware sees it. What sends no Origin is no browser."""
    origin = request.META.get("HTTP_ORIGIN")
    if origin is None or origin == f"{request.scheme}://{request.get_host()}":
        return True
    try:
        asking = urlsplit(origin)
    except ValueError:
        return False
    for trusted in settings.CSRF_TRUSTED_ORIGINS:
        scheme, _, host = trusted.partition("://")
        if origin == trusted or (
            host.startswith("*")
            and scheme == asking.scheme
            and is_same_domain(asking.netloc, host.lstrip("*"))
        ):
            return True
    return False
