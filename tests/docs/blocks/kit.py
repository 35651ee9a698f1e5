"""What a reader has who comes to a page: an application by the names that pages give theirs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from harness.certificates import authority, authority_file, write

from .pages import ROOT

WSGI = """\
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"Hello\\n"]
"""
FLASK = """\
from flask import Flask

app = Flask(__name__)


@app.get("/")
def hello():
    return "Hello\\n"
"""
UWSGI = """\
[uwsgi]
module = app:app
http-socket = 127.0.0.1:8000
processes = 2
threads = 8
"""
CERTIFICATES = {  # by the certificate's file, its key's
    "chain.pem": "key.pem",
    "example.pem": "example.key",
    "shop-ecdsa.pem": "shop-ecdsa.key",
    "shop-rsa.pem": "shop-rsa.key",
}


def unpack(folder: Path, text: str) -> None:
    """The files that a page speaks of and does not make."""
    for name in ("module", "mymodule", "myapp", "hello"):
        (folder / f"{name}.py").write_text(WSGI)
    (folder / "app.py").write_text(FLASK)
    (folder / "gunicorn.conf.py").write_text("workers = 2\nthreads = 4\n")
    (folder / "app.ini").write_text(UWSGI)
    shop = folder / "shop"
    shop.mkdir()
    (shop / "__init__.py").write_text(f"{WSGI}\n\ndef create_app():\n    return app\n")
    (shop / "wsgi.py").write_text("from shop import app as application\n")
    script = folder / "srv" / "shop" / "shop_site.py"
    script.parent.mkdir(parents=True)
    script.write_text(WSGI.replace("app(", "application("))
    sheet = folder / "public" / "static" / "site.css"
    sheet.parent.mkdir(parents=True)
    sheet.write_text("body { margin: 0 }\n")
    if "./prowingen-wsgi" in text:
        (folder / "prowingen-wsgi").symlink_to(ROOT)
    if ".pem" in text:
        for certificate, key in CERTIFICATES.items():
            made = write(authority().issue_cert("localhost", "127.0.0.1"), folder, "made")
            Path(made.certfile).rename(folder / certificate)
            Path(made.keyfile).rename(folder / key)
        (folder / "ca.pem").write_text(Path(authority_file()).read_text())
    if "manage.py" in text and "startproject" not in text:
        subprocess.run(
            [sys.executable, "-m", "django", "startproject", "mysite", str(folder)], check=True
        )
        settings = folder / "mysite" / "settings.py"
        changed = settings.read_text().replace(
            "INSTALLED_APPS = [", 'INSTALLED_APPS = [\n    "prowingen_wsgi.contrib.django",'
        )
        settings.write_text(changed.replace("ALLOWED_HOSTS = []", 'ALLOWED_HOSTS = ["*"]'))
        (folder / "mysite" / "production.py").write_text("from .settings import *\n")
