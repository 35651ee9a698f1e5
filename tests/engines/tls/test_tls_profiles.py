"""HTTPS: what is spoken, after Mozilla's guideline."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest
import trustme

from harness.apps import hello
from harness.certificates import authority, write

if TYPE_CHECKING:
    from pathlib import Path

    from harness.site import ServeFixture, Site


@pytest.fixture(params=["modern", "intermediate", "old"])
def profile(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def agreed(site: Site, *arguments: str) -> str:
    """What OpenSSL's own client agrees on with a server: "TLSv1.2 ECDHE-…"; empty for nothing."""
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{site.port}", "-alpn", "http/1.1"]
    said = subprocess.run(
        [*command, *arguments], input="", capture_output=True, text=True, timeout=20, check=False
    ).stdout
    found = re.search(r"^New, (?:TLS\S+), Cipher is (\S+)$", said, re.MULTILINE)
    version = re.search(r"^\s*Protocol\s*: (\S+)$|^New, (TLSv1.3)", said, re.MULTILINE)
    if found is None or found.group(1) == "(NONE)":
        return ""
    assert version, said
    return f"{version.group(1) or version.group(2)} {found.group(1)}"


# Asked for by the whole of what they are called in the guideline.
SPOKEN = {
    # what a client offers: the profiles by which it is answered
    ("-tls1_3",): "modern intermediate old",
    ("-tls1_2",): "intermediate old",
    ("-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"): "intermediate old",
    ("-tls1_2", "-cipher", "ECDHE-RSA-CHACHA20-POLY1305"): "intermediate old",
    ("-tls1_2", "-cipher", "DHE-RSA-AES256-GCM-SHA384"): "intermediate old",
    ("-tls1_2", "-cipher", "ECDHE-RSA-AES128-SHA"): "old",
    ("-tls1_2", "-cipher", "AES128-GCM-SHA256"): "old",
    ("-tls1_1", "-cipher", "ALL:@SECLEVEL=0"): "old",
    ("-tls1", "-cipher", "ALL:@SECLEVEL=0"): "old",
    ("-tls1_3", "-groups", "X25519"): "modern intermediate old",
    ("-tls1_3", "-groups", "P-384"): "modern intermediate old",
    ("-tls1_3", "-groups", "P-521"): "",
    ("-tls1_2", "-cipher", "NULL:@SECLEVEL=0"): "",
}


@pytest.fixture
def options(tmp_path: Path) -> dict[str, object]:
    leaf = authority().issue_cert("localhost", key_type=trustme.KeyType.RSA)
    return dict(vars(write(leaf, tmp_path, "rsa")))


def test_a_profile_is_what_is_spoken(
    serve: ServeFixture, options: dict[str, object], profile: str
) -> None:
    site = serve(hello, tls_profile=profile, **options)
    answered = {offer: bool(agreed(site, *offer)) for offer in SPOKEN}
    assert answered == {offer: profile in by.split() for offer, by in SPOKEN.items()}


def test_the_intermediate_one_is_the_default(
    serve: ServeFixture, options: dict[str, object]
) -> None:
    site = serve(hello, **options)
    answered = {offer: bool(agreed(site, *offer)) for offer in SPOKEN}
    assert answered == {offer: "intermediate" in by.split() for offer, by in SPOKEN.items()}


def test_the_client_chooses_a_suite_but_of_an_old_server(
    serve: ServeFixture, options: dict[str, object]
) -> None:
    wish = ("-tls1_2", "-cipher", "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256")
    for profile, chosen in (("intermediate", "256"), ("old", "128")):
        site = serve(hello, tls_profile=profile, **options)
        assert f"AES{chosen}" in agreed(site, *wish), profile


def test_versions_and_suites_that_are_named_win_over_the_profile(
    serve: ServeFixture, options: dict[str, object]
) -> None:
    newest = serve(hello, tls_min_version="1.3", **options)
    assert agreed(newest, "-tls1_2") == ""
    older = serve(hello, tls_profile="modern", tls_min_version="1.2", **options)
    assert agreed(older, "-tls1_2").startswith("TLSv1.2 ")
    narrow = serve(hello, ciphers="ECDHE-RSA-AES128-SHA", **options)
    assert agreed(narrow, "-tls1_2") == "TLSv1.2 ECDHE-RSA-AES128-SHA"
