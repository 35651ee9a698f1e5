"""What to do instead, where several options of uWSGI have the same answer."""

from __future__ import annotations

DAEMON = "let systemd, or what else runs the server, run it too: a service of its own"
CRON = "let cron or a systemd timer run it"
QUEUE = "background work needs a queue such as Celery, RQ or Huey, which has processes of its own"
STATIC = (
    "files are not served: have nginx or a CDN do that, or WhiteNoise in the application, as "
    "docs/from_uwsgi.md shows"
)
ROUTES = "requests are not routed or rewritten: do it in the proxy or the application"
RELOAD = (
    "no file is watched in production: reload by SIGHUP, as systemctl reload does, or "
    "kill -HUP with the number in pidfile; workers are replaced one after the other"
)
NUMBER = "so many workers as there are serve all the time; SIGTTIN and SIGTTOU add and end one"
AGE = "workers are not replaced by age: set max_requests, or have a timer send SIGHUP"
MEMORY = "resident memory is what is measured: set max_rss"
GREENLETS = "applications run in threads: raise threads, which for waiting ones may be hundreds"
STATS = "there is no server of statistics: read the access log, which json makes easy"
EMPEROR = "there is no emperor: run each application as a service of its own, by systemd"
ROUTER = "there is one server and no router before it: balance in a proxy such as nginx or HAProxy"
HOOK = "hooks have no equivalent: do it in the application, or in the service's unit"
SYSTEM = "let systemd set it up: see systemd.exec(5)"
LOG = "the access log takes every request, and errors go to standard error: filter where you read"
ERRORS = "errors go to standard error: have that collected"
TLS = "TLS is set up by tls_profile, tls_min_version and ciphers: see docs/tls.md"
UWSGI_API = "the module uwsgi has no equivalent: use Redis, a database or a library in its place"
PROTOCOL = "HTTP is all that is spoken"
OTHER_LANGUAGE = "WSGI applications are all that is served"
PYTHON = "set it for the interpreter: by its variables or by what is in the environment's site"
HEADERS = "fields are added by the application, or by the proxy"
HARAKIRI = "worker_timeout is about a worker as a whole: see docs/from_uwsgi.md"
NETWORK = "set it for the system: see sysctl.conf(5)"
INTERNAL = "it has no meaning here"
CACHE = "there is no cache: use Redis or memcached, or the proxy's"
