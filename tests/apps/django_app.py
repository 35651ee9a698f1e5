"""The same app in Django, in one module, with sessions in signed cookies."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import (
    FileResponse,
    HttpRequest,
    HttpResponse,
    HttpResponseRedirect,
    JsonResponse,
    StreamingHttpResponse,
)
from django.urls import path

if TYPE_CHECKING:
    from collections.abc import Iterator

if not settings.configured:
    settings.configure(
        ALLOWED_HOSTS=["*"],
        DATA_UPLOAD_MAX_MEMORY_SIZE=16 << 20,
        LOGGING_CONFIG=None,
        MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"],
        ROOT_URLCONF=__name__,
        SECRET_KEY="for tests alone",
        SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
        USE_TZ=True,
    )
    django.setup()

CONTENT = bytes(range(256)) * 4096


def index(request: HttpRequest) -> HttpResponse:
    return HttpResponse("hello")


def hints(request: HttpRequest) -> HttpResponse:
    request.META["wsgi.early_hints"]([("Link", "</style.css>; rel=preload; as=style")])
    return HttpResponse("hinted")


def echo(request: HttpRequest) -> HttpResponse:
    is_json = request.content_type == "application/json"
    return JsonResponse(
        {
            "method": request.method,
            "args": request.GET.dict(),
            "form": request.POST.dict(),
            "json": json.loads(request.body) if is_json else None,
            "host": request.get_host(),
            "path": request.path,
        }
    )


def upload(request: HttpRequest) -> HttpResponse:
    file: Any = request.FILES["file"]
    data = file.read()
    return JsonResponse(
        {
            "name": file.name,
            "size": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
            "note": request.POST["note"],
        }
    )


def download(request: HttpRequest) -> HttpResponse | FileResponse:
    return FileResponse(io.BytesIO(CONTENT), content_type="application/octet-stream")


def file(request: HttpRequest) -> FileResponse:
    return FileResponse(Path(__file__).resolve().open("rb"), content_type="text/x-python")


def stream(request: HttpRequest) -> StreamingHttpResponse:
    def generate() -> Iterator[str]:
        for number in range(100):
            yield f"line {number}\n"

    return StreamingHttpResponse(generate(), content_type="text/plain")


def count(request: HttpRequest) -> HttpResponse:
    request.session["count"] = request.session.get("count", 0) + 1
    return HttpResponse(str(request.session["count"]))


def moved(request: HttpRequest) -> HttpResponse:
    response = HttpResponseRedirect("/echo?via=moved")
    response.status_code = 303
    return response


def name(request: HttpRequest, name: str) -> HttpResponse:
    return HttpResponse(name)


def error(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("as asked for")


urlpatterns = [
    path("", index),
    path("hints", hints),
    path("echo", echo),
    path("upload", upload),
    path("download", download),
    path("file", file),
    path("stream", stream),
    path("count", count),
    path("moved", moved),
    path("name/<path:name>", name),
    path("error", error),
]

app = get_wsgi_application()
