"""For HEALTHCHECK: ends with 0 if the server in this container is alive, and with 1 if not.

It asks at 127.0.0.1, by the port of PROWINGEN_BIND (of its first address, if there are several) and
the path of PROWINGEN_HEALTH_PATH.
"""

import http.client
import os
import sys

where = os.environ.get("PROWINGEN_BIND", "127.0.0.1:8000").split(",")[0]
path = os.environ.get("PROWINGEN_HEALTH_PATH", "")
if not path:
    sys.exit("healthcheck: PROWINGEN_HEALTH_PATH is not set, so nobody answers probes")
port = where.rpartition(":")[2]
if not port.isdecimal():
    sys.exit(f"healthcheck: PROWINGEN_BIND={where} has no port to ask at")
try:
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=2)
    connection.request("GET", f"{path}/live")
    status = connection.getresponse().status
except (OSError, http.client.HTTPException) as error:
    sys.exit(f"healthcheck: {where}: {error!r}")
if status != http.client.OK:
    sys.exit(f"healthcheck: {where}{path}/live answers {status}")
