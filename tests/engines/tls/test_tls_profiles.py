"""HTTPS: what is spoken, after Mozilla's guideline."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import trustme

from harness.apps import hello
from harness.certificates import authority, write

if TYPE_CHECKING:
    from pathlib import Path

    from harness.site import ServeFixture, Site

# Clients of the last decade are what some of these tests are about.
pytestmark = pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")


@dataclass(frozen=True)
class Offer:
    """What a client offers: one version, and of its suites and groups what is named."""

    version: ssl.TLSVersion
    ciphers: str = "ALL:@SECLEVEL=0"
    group: str = ""

    def agreed(self, site: Site) -> str:
        """The suite that is agreed on; empty if none is."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_ciphers(self.ciphers)
        context.minimum_version = context.maximum_version = self.version
        if self.group:
            context.set_ecdh_curve(self.group)
        try:
            with (
                socket.create_connection(("127.0.0.1", site.port), timeout=10) as sock,
                context.wrap_socket(sock) as tls,
            ):
                suite = tls.cipher()
                return suite[0] if suite else ""
        except (ssl.SSLError, ConnectionError):
            return ""


NEWEST, TLS_1_2 = ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2

# The profiles by which each is answered.
ANSWERED = {
    Offer(NEWEST): "modern intermediate old",
    Offer(NEWEST, group="X25519"): "modern intermediate old",
    Offer(NEWEST, group="prime256v1"): "modern intermediate old",
    Offer(NEWEST, group="secp384r1"): "modern intermediate old",
    Offer(NEWEST, group="secp521r1"): "",
    Offer(TLS_1_2, "ECDHE-RSA-AES128-GCM-SHA256"): "intermediate old",
    Offer(TLS_1_2, "ECDHE-RSA-CHACHA20-POLY1305"): "intermediate old",
    Offer(TLS_1_2, "DHE-RSA-AES256-GCM-SHA384"): "intermediate old",
    Offer(TLS_1_2, "ECDHE-RSA-AES128-SHA"): "old",
    Offer(TLS_1_2, "AES128-GCM-SHA256"): "old",
    Offer(TLS_1_2, "NULL:@SECLEVEL=0"): "",
    Offer(ssl.TLSVersion.TLSv1_1): "old",
    Offer(ssl.TLSVersion.TLSv1): "old",
}


@pytest.fixture
def options(tmp_path: Path) -> dict[str, object]:
    leaf = authority().issue_cert("localhost", key_type=trustme.KeyType.RSA)
    return dict(vars(write(leaf, tmp_path, "rsa")))


@pytest.mark.parametrize("profile", ["modern", "intermediate", "old", ""])
def test_a_profile_is_what_is_spoken(
    serve: ServeFixture, options: dict[str, object], profile: str
) -> None:
    """Without one, what is intermediate."""
    site = serve(hello, **options, **({"tls_profile": profile} if profile else {}))
    answered = {offer for offer in ANSWERED if offer.agreed(site)}
    meant = profile or "intermediate"
    assert answered == {offer for offer, by in ANSWERED.items() if meant in by.split()}


def test_the_client_chooses_a_suite_but_of_an_old_server(
    serve: ServeFixture, options: dict[str, object]
) -> None:
    wish = Offer(TLS_1_2, "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256")
    for profile, chosen in (("intermediate", "256"), ("old", "128")):
        site = serve(hello, tls_profile=profile, **options)
        assert f"AES{chosen}" in wish.agreed(site), profile


def test_versions_and_suites_that_are_named_win_over_the_profile(
    serve: ServeFixture, options: dict[str, object]
) -> None:
    older, newer = Offer(TLS_1_2), Offer(NEWEST)
    newest = serve(hello, tls_min_version="1.3", **options)
    assert newer.agreed(newest)
    assert not older.agreed(newest)
    both = serve(hello, tls_profile="modern", tls_min_version="1.2", **options)
    assert newer.agreed(both)
    assert older.agreed(both)
    narrow = serve(hello, ciphers="ECDHE-RSA-AES128-SHA", **options)
    assert older.agreed(narrow) == "ECDHE-RSA-AES128-SHA"


def test_who_lowers_the_version_of_modern_gets_the_suites_of_intermediate(
    serve: ServeFixture, options: dict[str, object]
) -> None:
    site = serve(hello, tls_profile="modern", tls_min_version="1.2", **options)
    assert Offer(TLS_1_2, "ECDHE-RSA-AES128-GCM-SHA256").agreed(site)
    assert not Offer(TLS_1_2, "ECDHE-RSA-AES128-SHA").agreed(site)
