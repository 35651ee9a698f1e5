"""Several OpenSSLs in one process, as an application's own packages bring them, each of its own.

The one in the wheel has a name of its own, so that no other is taken for it by the loader. That is
looked at from both ends: all of them make connections, and the loader's own account says which
library each symbol of OpenSSL was taken from.
"""

from __future__ import annotations

import platform
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from harness.certificates import authority_file, server_files

if TYPE_CHECKING:
    from harness.installed import Installed

PROGRAM = str(Path(__file__).with_name("beside.py"))
STRANGERS = ("ssl", "cryptography", "psycopg", "grpc")
# binding file /a/_native.so [0] to /a/libssl.so.3 [0]: normal symbol `SSL_new' [OPENSSL_3.0.0]
BINDING = re.compile(
    r"binding file (\S+) \[\d+\] to (\S+) \[\d+\]: normal symbol `(\S+)' \[(OPENSSL_\S+)\]"
)
pytestmark = pytest.mark.skipif(platform.system() != "Linux", reason="reads what Linux has")


def run_beside(installed: Installed, order: str, *strangers: str, **variables: str) -> list[str]:
    files = server_files()
    words = [order, files.certfile, files.keyfile, authority_file(), *strangers]
    return installed.run(PROGRAM, *words, **variables).split()


@pytest.mark.parametrize("order", ["before", "after"])
@pytest.mark.parametrize("stranger", STRANGERS)
def test_both_make_connections(beside_strangers: Installed, stranger: str, order: str) -> None:
    mapped = run_beside(beside_strangers, order, stranger)
    own = [path for path in mapped if "prowingen_wsgi.libs" in path]
    assert len(own) == 1
    if stranger != "cryptography":  # which has it in its extension module
        assert set(mapped) - set(own), "the stranger has no library of its own"


@pytest.mark.parametrize("order", ["before", "after"])
def test_no_symbol_is_taken_from_another_openssl(
    beside_strangers: Installed, order: str, tmp_path: Path
) -> None:
    account = {"LD_DEBUG": "bindings", "LD_DEBUG_OUTPUT": str(tmp_path / "account")}
    run_beside(beside_strangers, order, *STRANGERS, LD_BIND_NOW="1", **account)
    text = "".join(path.read_text("utf-8", "replace") for path in tmp_path.glob("account.*"))
    bindings = [match.groups() for match in BINDING.finditer(text)]
    own = [(user, home, name) for user, home, name, _ in bindings if is_ours(user) or is_ours(home)]
    # Of the module and of libssl, at least: enough to know that this has been seen at all.
    assert any("/_native" in user and name == "SSL_new" for user, _, name in own)
    assert any("/libssl" in user for user, _, _ in own)
    assert len(bindings) > len(own), "no other OpenSSL was used"
    assert [binding for binding in own if not (is_ours(binding[0]) and is_ours(binding[1]))] == []


def is_ours(path: str) -> bool:
    return "/prowingen_wsgi" in path
