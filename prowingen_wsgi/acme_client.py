"""A conversation with an authority, by ACME (RFC 8555), that ends with a certificate or an error.

    account --> order --> for each name: a challenge, answered from the folder --> certificate
       ^          |               |
    made once     +---------------+--> AcmeError

The library `acme` speaks it; this is what it is told, and what becomes of what goes wrong.
"""

from __future__ import annotations

import hashlib
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta, timezone
from importlib import metadata
from typing import TYPE_CHECKING, Any

import requests
from acme import challenges, errors, messages
from acme.client import ClientNetwork, ClientV2
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from josepy.errors import Error as JoseError
from josepy.jwa import ES256
from josepy.jwk import JWKEC

from .acme_times import RATE_LIMITED, Validity
from .logs import error_log
from .originals import time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from josepy.jwk import JWK

    from .acme_folder import AcmeFolder

# In seconds: for the network, for an authority to look at an answer, and to issue a certificate.
_NETWORK_TIMEOUT = 30
_PATIENCE = 120.0
# Between looks at what becomes of a challenge, where the authority does not say.
_FIRST_LOOK, _LAST_LOOK = 0.2, 5.0
_LONGEST_LOOK = 15.0
_OF_THE_MOMENT = {"badNonce", "serverInternal"}
# What the library cryptography makes of what is no certificate, or a strange one.
_UNREADABLE = (
    *(ValueError, TypeError, UnsupportedAlgorithm),
    *(x509.ExtensionNotFound, x509.DuplicateExtension, x509.InvalidVersion),
)

HOW_TO_BE_REACHED = {
    "tls-alpn-01": "port 443 of {name} has to lead here, with TLS as it is",
    "http-01": "port 80 of {name} has to lead to where redirect_http listens",
}


class AcmeError(Exception):
    """Why there is no certificate, in a sentence.

    unheard: the authority has not looked at what is wished.
    at_least: seconds for which it is of no use to ask again.
    """

    def __init__(self, why: str, *, unheard: bool = False, at_least: float = 0.0) -> None:
        super().__init__(why)
        self.unheard = unheard
        self.at_least = at_least


class ChallengeError(AcmeError):
    """The authority has looked, and not seen the answer; or it does not look in that way."""


class EndedError(Exception):
    """The server stops: nothing more is of interest."""


@challenges.ChallengeResponse.register
class _TlsAlpn01Response(challenges.KeyAuthorizationChallengeResponse):
    typ = "tls-alpn-01"


@challenges.Challenge.register
class _TlsAlpn01(challenges.KeyAuthorizationChallenge):
    """RFC 8737; the library has had one of its own only up to its version 3."""

    response_cls = _TlsAlpn01Response
    typ = "tls-alpn-01"

    def validation(self, account_key: JWK, **_: Any) -> str:
        return self.key_authorization(account_key)


class _Client(ClientV2):
    """The library's, which waits for a certificate by looks that a server's end interrupts."""

    def finished(self, order: messages.OrderResource, look: Callable[[], None]) -> str:
        """The chain (PEM) of an order whose challenges have been answered.

        look: called before each look at it; raises what ends that.
        """
        self._finalize(order)
        while True:
            look()
            body = messages.Order.from_json(self._post_as_get(order.uri).json())
            if body.status == messages.STATUS_INVALID:
                raise errors.IssuanceError(body.error) if body.error else errors.Error("no reason")
            if body.status == messages.STATUS_READY:
                self._finalize(order)
            if body.status == messages.STATUS_VALID and body.certificate is not None:
                return self._post_as_get(body.certificate).text

    def _finalize(self, order: messages.OrderResource) -> None:
        try:
            self.begin_finalization(order)
        except messages.Error as error:
            if error.code != "orderNotReady":  # yet
                raise


class _Looks:
    """Waits from one look to the next, ever longer, until patience is over."""

    def __init__(self, pause: Callable[[float], bool], late: str) -> None:
        self._pause = pause
        self._late = late
        self._deadline = time.monotonic() + _PATIENCE
        self._wait = _FIRST_LOOK

    def next(self, said: str = "") -> None:
        """said: Retry-After of the answer before. Raises EndedError, and AcmeError."""
        wait = max(self._wait, float(said)) if said.isdecimal() else self._wait
        if time.monotonic() >= self._deadline:
            raise AcmeError(f"{self._late} within {_PATIENCE:.0f} s")
        self._wait = min(self._wait * 1.5, _LAST_LOOK)
        if self._pause(min(wait, _LONGEST_LOOK)):
            raise EndedError


class Authority:
    """One conversation, of one thread.

    pause: waits for so many seconds; True: the server stops.
    """

    def __init__(
        self, directory: str, email: str, folder: AcmeFolder, pause: Callable[[float], bool]
    ) -> None:
        """Asks for the directory. Raises AcmeError."""
        self._url = directory
        self._email = email
        self._folder = folder
        self._pause = pause
        self._key = self._account_key()
        self._network = ClientNetwork(
            self._key,
            alg=ES256,
            user_agent=f"prowingen-wsgi/{metadata.version('prowingen-wsgi')}",
            timeout=_NETWORK_TIMEOUT,
        )
        try:
            with _explained(directory):
                found = _Client.get_directory(directory, self._network)
        except AcmeError:
            self.close()
            raise
        self._client = _Client(found, self._network)

    def close(self) -> None:
        self._network.session.close()

    # ---- what is asked for

    def issue(self, name: str, challenge: str) -> tuple[str, str]:
        """A certificate with those that lead to the authority, and its key (PEM).

        Raises AcmeError, and EndedError."""
        key = self._next_key(name)
        names = x509.SubjectAlternativeName([x509.DNSName(name)])
        request = (
            x509.CertificateSigningRequestBuilder()
            .subject_name(x509.Name([]))
            .add_extension(names, critical=False)
            .sign(key, hashes.SHA256())
        )
        with _explained(self._url):
            order = self._ordered(request.public_bytes(Encoding.PEM))
            for authorization in order.authorizations:
                if authorization.body.status != messages.STATUS_VALID:
                    self._show(authorization, name, challenge)
            looks = _Looks(self._pause, f"{self._url} has not issued it")
            chain = self._client.finished(order, looks.next)
        return self._checked(chain, name, key), _written(key).decode()

    def _next_key(self, name: str) -> ec.EllipticCurvePrivateKey:
        """Kept before there is an order: where there is no room for it, none is made; and what has
        been issued and could not be kept was for the same key."""
        key = ec.generate_private_key(ec.SECP256R1())
        with suppress(ValueError, TypeError):
            kept = load_pem_private_key(self._folder.next_key(name) or b"", None)
            if isinstance(kept, ec.EllipticCurvePrivateKey):
                key = kept
        self._folder.keep_next_key(name, _written(key))
        return key

    def _checked(self, chain: str, name: str, key: ec.EllipticCurvePrivateKey) -> str:
        """The certificates of what has come, and nothing beside them. Raises AcmeError."""
        fault = ""
        try:
            found = x509.load_pem_x509_certificates(chain.encode())
            names = found[0].extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            named = [each.lower() for each in names.get_values_for_type(x509.DNSName)]
            validity = Validity.of(chain.encode())
            if found[0].public_key() != key.public_key():
                fault = "it is for another key"
            elif name not in named:
                fault = f"it is for {', '.join(named) or 'no name'}"
            elif not max(validity.begins, time.time()) < validity.ends:
                fault = f"it is {validity} by this machine's clock"
        except _UNREADABLE as error:
            fault = str(error)
        if fault:
            raise AcmeError(
                f"{self._url} has issued what is no certificate to serve {name} by: {_line(fault)}"
            )
        return "".join(each.public_bytes(Encoding.PEM).decode() for each in found)

    def suggested_renewal(self, certificate: bytes) -> tuple[float | None, float]:
        """When the authority suggests to renew it (RFC 9773), if it does, and to be asked again.

        Raises AcmeError."""
        with _explained(self._url):
            at, again = self._client.renewal_time(certificate)
            return None if at is None else at.timestamp(), again.timestamp()

    def _ordered(self, request: bytes) -> messages.OrderResource:
        known = self._take_account()
        try:
            return self._client.new_order(request)
        except messages.Error as error:
            if not known or error.code != "accountDoesNotExist":
                raise
            error_log.info("acme: %s knows the account no more: a new one is made", self._url)
        self._folder.keep_account({})
        self._take_account()
        return self._client.new_order(request)

    # ---- the account

    def _account_key(self) -> JWKEC:
        key = self._folder.account_key()
        if key is None:
            key = _written(ec.generate_private_key(ec.SECP256R1()))
            self._folder.keep_account_key(key)
        try:
            return JWKEC(key=load_pem_private_key(key, None))
        except ValueError as error:
            path = self._folder.path / "account-key.pem"
            raise AcmeError(f'"{path}" is no key that can be used: {error}') from None

    def _take_account(self) -> bool:
        """Makes one if there is none at this authority. Whether there was."""
        kept = self._folder.account()
        known = kept.get("directory") == self._url
        uri = kept.get("uri", "") if known else self._new_account()
        self._network.account = messages.RegistrationResource(
            uri=uri, body=messages.Registration.from_data(email=self._email or None)
        )
        if known and kept.get("email", "") != self._email:
            self._client.update_registration(self._network.account)
        if not known or kept.get("email", "") != self._email:
            self._folder.keep_account({"directory": self._url, "uri": uri, "email": self._email})
        return known

    def _new_account(self) -> str:
        meta = self._client.directory.meta if "meta" in self._client.directory.to_json() else None
        terms = getattr(meta, "terms_of_service", None)
        if self._client.external_account_required():
            raise AcmeError(
                f"{self._url} wants accounts that were made elsewhere (externalAccountRequired), "
                "which is not spoken here"
            )
        wanted = messages.NewRegistration.from_data(
            email=self._email or None, terms_of_service_agreed=True
        )
        self._network.account = None
        try:
            uri = self._client.new_account(wanted).uri
        except errors.ConflictError as error:
            uri = error.location
        agreed = f", whose terms are {terms}" if terms else ""
        error_log.info("acme: an account was made at %s%s", self._url, agreed)
        return str(uri)

    # ---- challenges

    def _show(self, authorization: messages.AuthorizationResource, name: str, kind: str) -> None:
        offered = {each.chall.typ: each for each in authorization.body.challenges}
        if kind not in offered:
            raise ChallengeError(
                f"{self._url} offers {', '.join(sorted(offered))} for it, and not {kind}",
                unheard=True,
            )
        challenge = offered[kind]
        response, shown = challenge.chall.response_and_validation(self._key)
        token = challenge.chall.encode("token")
        if kind == "http-01":
            file, text = token, shown
        else:
            file, text = f"{name}.pem", _challenge_certificate(name, shown)
        if self._pause(0):  # whoever ends this withdraws what there is
            raise EndedError
        with self._folder.answering(file, text):
            self._client.answer_challenge(challenge, response)
            self._await(authorization, name, kind)

    def _await(self, authorization: messages.AuthorizationResource, name: str, kind: str) -> None:
        looks = _Looks(self._pause, f"{self._url} has not looked at it")
        looks.next()
        while True:
            authorization, answer = self._client.poll(authorization)
            if authorization.body.status == messages.STATUS_VALID:
                return
            if authorization.body.status != messages.STATUS_PENDING:
                break
            looks.next(answer.headers.get("Retry-After", ""))
        faults = [each.error for each in authorization.body.challenges if each.error is not None]
        why = _told(faults[0]) if faults else "it does not say why"
        raise ChallengeError(
            f"the authority found no answer to its challenge {kind}: {why}: "
            + HOW_TO_BE_REACHED[kind].format(name=name)
        )


def _challenge_certificate(name: str, shown: str) -> str:
    """The one of RFC 8737 section 3, with its key (PEM)."""
    key = ec.generate_private_key(ec.SECP256R1())
    nobody = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "acme challenge")])
    octets = b"\x04\x20" + hashlib.sha256(shown.encode()).digest()  # an OCTET STRING in DER
    acme_identifier = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31")
    now = datetime.now(timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(nobody)
        .issuer_name(nobody)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=7))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.UnrecognizedExtension(acme_identifier, octets), critical=True)
        .sign(key, hashes.SHA256())
    )
    return (certificate.public_bytes(Encoding.PEM) + _written(key)).decode()


def _written(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


# ---- what goes wrong


@contextmanager
def _explained(directory: str) -> Iterator[None]:
    """Makes an AcmeError of what the library raises."""
    try:
        yield
    except messages.Error as error:
        raise AcmeError(
            f"{directory} says: {_told(error)}",
            unheard=error.code in _OF_THE_MOMENT,
            at_least=RATE_LIMITED if error.code == "rateLimited" else 0.0,
        ) from error
    except errors.IssuanceError as error:
        raise AcmeError(f"{directory} does not issue it: {_told(error.error)}") from error
    except requests.exceptions.RequestException as error:
        why = _innermost(error)
        raise AcmeError(f"{directory} cannot be reached: {why}", unheard=True) from error
    except OSError as error:  # of a library that has not made it one of its own
        if error.filename is not None:  # a file of the folder's
            raise
        raise AcmeError(f"{directory} cannot be reached: {_line(error)}", unheard=True) from error
    except (errors.Error, JoseError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise AcmeError(
            f"{directory} answers as no authority does: {_line(error)}", unheard=True
        ) from error


def _told(error: messages.Error) -> str:
    said = [str(error.detail or error.title or error.typ), *map(_told, error.subproblems or ())]
    return _line("; ".join(said)) + (f" ({error.code})" if error.code else "")


def _innermost(error: BaseException) -> str:
    """What the system or OpenSSL has said, under what libraries have made of it."""
    found: BaseException = error
    while inside := [
        each
        for each in (getattr(found, "reason", None), *found.args, found.__cause__)
        if isinstance(each, BaseException) and each is not found
    ]:
        found = inside[0]
    if message := getattr(found, "verify_message", ""):
        return f"{message}: an authority of one's own is trusted by REQUESTS_CA_BUNDLE"
    return _line(getattr(found, "strerror", None) or found)


def _line(said: object) -> str:
    """As a part of a line of the log."""
    return "".join(c if c.isprintable() else " " for c in str(said))[:500]
