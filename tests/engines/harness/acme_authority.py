"""An authority that speaks ACME (RFC 8555) as far as a server asks it: every request is signed and
checked, nonces are good for once, and challenges are looked at by connections of its own.

    directory --> account --> order --> authorization: its challenges --> finalize --> certificate
"""

from __future__ import annotations

import http.client
import json
import secrets
import socket
import ssl
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from acme import jws
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from josepy.b64 import b64decode, b64encode

from .certificates import authority as tls_authority

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from josepy.jwk import JWK

ACME_IDENTIFIER = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31")
KINDS = ("http-01", "tls-alpn-01", "dns-01")
PROTOCOL = "acme-tls/1"


class ProblemError(Exception):
    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.document = {"type": f"urn:ietf:params:acme:error:{code}", "detail": detail}


@dataclass
class Authorization:
    name: str
    account: str
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    status: str = "pending"
    errors: dict[str, dict[str, str]] = field(default_factory=dict)


@dataclass
class Order:
    names: list[str]
    account: str
    authorizations: list[str]
    status: str = "pending"
    chain: str = ""
    unready: int = 0
    works: int = 0


class AcmeAuthority:
    """lifetime: of what it issues, which begins `age` ago.
    is_down: who asks gets no answer.
    is_limited: who orders has done so too often.
    trusts: it looks at no answers.
    kinds: the challenges that it offers.
    refused: names that nothing is issued for.
    suggested: when to renew (RFC 9773), if it says that; to be asked again after `again`.
    busy: so many times it is not ready yet where an order is to be finalized, and so many times it
        still works on one that has been.
    spoil: makes something else of a chain that it issues.
    """

    def __init__(self) -> None:
        self.lifetime = timedelta(days=90)
        self.age = timedelta(0)
        self.is_down = False
        self.is_limited = False
        self.trusts = False
        self.kinds: tuple[str, ...] = KINDS
        self.refused: set[str] = set()
        self.suggested: tuple[datetime, datetime] | None = None
        self.again = ""
        self.busy = 0
        self.spoil: Callable[[str], str] = str
        self.accounts: dict[str, JWK] = {}
        self.contacts: dict[str, list[str]] = {}
        self.issued: list[str] = []
        self.looked: list[tuple[str, str]] = []
        """Names, and how their answers were looked for."""
        self.ordered = 0
        self.asked_when = 0
        """How often somebody wished to know when to renew."""
        self._nonces: set[str] = set()
        self._orders: dict[str, Order] = {}
        self._authorizations: dict[str, Authorization] = {}
        self._lock = threading.Lock()
        self._ports = {"http-01": 0, "tls-alpn-01": 0}
        self._may_look = threading.Event()
        self._is_over = False
        self._looks: list[threading.Thread] = []
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._certificate = self._self_issued()
        handler = type("Handler", (_Handler,), {"authority": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls_authority().issue_cert("127.0.0.1").configure_cert(context)
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self.url = f"https://127.0.0.1:{self._server.server_address[1]}"

    @property
    def directory(self) -> str:
        return f"{self.url}/directory"

    def client_context(self) -> ssl.SSLContext:
        """Of a client that trusts what this has issued, and nothing else."""
        return ssl.create_default_context(
            cadata=self._certificate.public_bytes(Encoding.PEM).decode()
        )

    @contextmanager
    def running(self) -> Iterator[AcmeAuthority]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield self
        finally:
            self._is_over = True
            self._may_look.set()
            self._server.shutdown()
            thread.join()
            for look in self._looks:
                look.join()
            self._server.server_close()

    def look_at(self, *, tls: int, http: int = 0) -> None:
        """Where answers to challenges are looked for, on 127.0.0.1, whatever the name; it waits for
        this to be known. 0: a port that nobody listens on."""
        self._ports = {"http-01": http or 1, "tls-alpn-01": tls or 1}
        self._may_look.set()

    # ---- what is issued

    def issue(self, name: str) -> tuple[str, str]:
        """A chain and a key, without having been asked (PEM)."""
        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return self._signed(key.public_key(), [name]), pem.decode()

    def _signed(self, key: Any, names: list[str]) -> str:
        begins = datetime.now(timezone.utc) - self.age
        identifier = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        made = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(self._certificate.subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins)
            .not_valid_after(begins + self.lifetime)
            .add_extension(
                x509.SubjectAlternativeName([x509.DNSName(each) for each in names]), critical=True
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier),
                critical=False,
            )
            .sign(self._key, hashes.SHA256())
        )
        return "".join(
            each.public_bytes(Encoding.PEM).decode() for each in (made, self._certificate)
        )

    def _self_issued(self) -> x509.Certificate:
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "ACME for tests")])
        now = datetime.now(timezone.utc)
        key = self._key.public_key()
        usage = dict.fromkeys(
            (
                *("digital_signature", "content_commitment", "key_encipherment"),
                *("data_encipherment", "key_agreement", "encipher_only", "decipher_only"),
            ),
            False,
        )
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=365))
            .not_valid_after(now + timedelta(days=365))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.KeyUsage(key_cert_sign=True, crl_sign=True, **usage), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .sign(self._key, hashes.SHA256())
        )

    # ---- requests

    def nonce(self) -> str:
        made = secrets.token_urlsafe(16)
        with self._lock:
            self._nonces.add(made)
        return made

    def get(self, path: str) -> dict[str, Any]:
        if path == "/directory":
            meta: dict[str, Any] = {"termsOfService": f"{self.url}/terms"}
            places = {each: f"{self.url}/{each}" for each in ("newNonce", "newAccount", "newOrder")}
            if self.suggested is not None:
                places["renewalInfo"] = f"{self.url}/renewal"
            return {**places, "meta": meta}
        if path.startswith("/renewal/") and self.suggested is not None:
            self.asked_when += 1
            start, end = (each.strftime("%Y-%m-%dT%H:%M:%SZ") for each in self.suggested)
            return {"suggestedWindow": {"start": start, "end": end}}
        raise ProblemError(404, "malformed", "there is no such thing")

    def post(self, path: str, body: bytes) -> tuple[int, object, dict[str, str]]:
        """The status, what is answered, and further fields."""
        account, payload = self._verified(path, body)
        kind, _, number = path[1:].partition("/")
        if kind == "newAccount":
            return self._account(account, payload)
        owner = account.decode() if isinstance(account, bytes) else ""
        if kind == "newOrder":
            return self._order(owner, [each["value"] for each in payload["identifiers"]])
        if kind == "account":
            self.contacts[owner] = payload.get("contact", [])
            return 200, {"status": "valid"}, {}
        if kind == "authorization":
            return 200, self._shown(number), {}
        if kind == "challenge":
            number, _, which = number.partition("/")
            # As authorities do: who asks hears at once, and not how it goes.
            of = self._authorizations[number]
            look = threading.Thread(target=self._look, args=(of, which))
            self._looks.append(look)
            look.start()
            challenge = next(
                each for each in self._shown(number)["challenges"] if each["type"] == which
            )
            return 200, challenge, {"Link": f'<{self.url}/authorization/{number}>;rel="up"'}
        order = self._orders[number]
        if kind == "finalize":
            self._finalize(order, payload["csr"])
        if kind == "certificate":
            return 200, order.chain, {"Content-Type": "application/pem-certificate-chain"}
        return 200, self._order_shown(number), {"Location": f"{self.url}/order/{number}"}

    def _verified(self, path: str, body: bytes) -> tuple[Any, Any]:
        """Who asks: a key for newAccount, else an account's URI in bytes; and what."""
        signed = jws.JWS.json_loads(body.decode())
        header = signed.signature.combined
        with self._lock:
            fresh = b64encode(header.nonce).decode() in self._nonces
            self._nonces.discard(b64encode(header.nonce).decode())
        if not fresh:
            raise ProblemError(400, "badNonce", "the nonce is not one of ours, or used")
        if header.url != self.url + path:
            raise ProblemError(400, "malformed", "it is signed for another URL")
        if path == "/newAccount":
            key, who = header.jwk, header.jwk
        else:
            who = (header.kid or "").encode()
            key = self.accounts.get(header.kid or "")
            if key is None:
                raise ProblemError(400, "accountDoesNotExist", "there is no such account")
        if not signed.verify(key):
            raise ProblemError(400, "unauthorized", "the signature is wrong")
        return who, json.loads(signed.payload) if signed.payload else {}

    def _account(self, key: Any, payload: Any) -> tuple[int, object, dict[str, str]]:
        for uri, known in self.accounts.items():
            if known == key:
                return 200, {"status": "valid"}, {"Location": uri}
        if payload.get("onlyReturnExisting"):
            raise ProblemError(400, "accountDoesNotExist", "there is none of this key")
        if not payload.get("termsOfServiceAgreed"):
            raise ProblemError(403, "userActionRequired", "the terms have to be agreed to")
        uri = f"{self.url}/account/{len(self.accounts)}"
        self.accounts[uri] = key
        self.contacts[uri] = payload.get("contact", [])
        return 201, {"status": "valid"}, {"Location": uri}

    def _order(self, account: str, names: list[str]) -> tuple[int, object, dict[str, str]]:
        self.ordered += 1
        if self.is_limited:
            raise ProblemError(429, "rateLimited", "too many orders")
        for name in names:
            if name in self.refused:
                raise ProblemError(
                    400, "rejectedIdentifier", f"nothing is issued for {name}: it is forbidden"
                )
        numbers = []
        for name in names:
            number = secrets.token_hex(4)
            self._authorizations[number] = Authorization(name, account)
            if self.trusts:
                self._authorizations[number].status = "valid"
            numbers.append(number)
        number = secrets.token_hex(4)
        self._orders[number] = Order(names, account, numbers, unready=self.busy, works=self.busy)
        return 201, self._order_shown(number), {"Location": f"{self.url}/order/{number}"}

    def _order_shown(self, number: str) -> dict[str, Any]:
        order = self._orders[number]
        states = {self._authorizations[each].status for each in order.authorizations}
        if order.status == "pending" and states == {"valid"}:
            order.status = "ready"
        if order.status == "processing":
            order.works -= 1
            if order.works < 0:
                order.status = "valid"
        shown: dict[str, Any] = {
            "status": order.status,
            "identifiers": [{"type": "dns", "value": each} for each in order.names],
            "authorizations": [f"{self.url}/authorization/{each}" for each in order.authorizations],
            "finalize": f"{self.url}/finalize/{number}",
        }
        if order.status == "valid":
            shown["certificate"] = f"{self.url}/certificate/{number}"
        return shown

    def _finalize(self, order: Order, request: str) -> None:
        order.unready -= 1
        if order.status != "ready" or order.unready >= 0:
            raise ProblemError(403, "orderNotReady", f"it is {order.status}")
        csr = x509.load_der_x509_csr(b64decode(request))
        names = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        if not csr.is_signature_valid or names.get_values_for_type(x509.DNSName) != order.names:
            raise ProblemError(403, "badCSR", "it is not for what was ordered")
        order.chain = self.spoil(self._signed(csr.public_key(), order.names))
        order.status = "processing"
        self.issued += order.names

    # ---- challenges

    def _shown(self, number: str) -> dict[str, Any]:
        of = self._authorizations[number]
        challenges = []
        for kind in self.kinds:
            one: dict[str, Any] = {
                "type": kind,
                "url": f"{self.url}/challenge/{number}/{kind}",
                "token": of.token,
                "status": "invalid" if kind in of.errors else of.status,
            }
            if kind in of.errors:
                one["error"] = of.errors[kind]
            challenges.append(one)
        return {
            "status": of.status,
            "identifier": {"type": "dns", "value": of.name},
            "challenges": challenges,
        }

    def _look(self, of: Authorization, kind: str) -> None:
        self._may_look.wait()
        if self._is_over:
            return
        self.looked.append((of.name, kind))
        thumbprint = b64encode(self.accounts[of.account].thumbprint()).decode()
        wanted = f"{of.token}.{thumbprint}"
        try:
            if kind == "http-01":
                self._look_by_http(of, wanted)
            else:
                self._look_by_tls(of, wanted)
        except (OSError, AssertionError, http.client.HTTPException) as fault:
            of.status = "invalid"
            of.errors[kind] = ProblemError(400, "connection", f"127.0.0.1: {fault}").document
        else:
            of.status = "valid"

    def _look_by_http(self, of: Authorization, wanted: str) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._ports["http-01"], timeout=30)
        try:
            path = f"/.well-known/acme-challenge/{of.token}"
            connection.request("GET", path, headers={"Host": of.name})
            answer = connection.getresponse()
            assert answer.status == 200, f"status {answer.status}"
            assert answer.read().decode() == wanted, "it is another answer"
        finally:
            connection.close()

    def _look_by_tls(self, of: Authorization, wanted: str) -> None:
        with asked_by_authority(self._ports["tls-alpn-01"], of.name) as tls:
            assert tls.selected_alpn_protocol() == PROTOCOL, "no acme-tls/1 there"
            shown = x509.load_der_x509_certificate(tls.getpeercert(binary_form=True) or b"")
            names = shown.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            assert list(names) == [x509.DNSName(of.name)], "it is of another name"
            digest = hashes.Hash(hashes.SHA256())
            digest.update(wanted.encode())
            extension = shown.extensions.get_extension_for_oid(ACME_IDENTIFIER)
            assert extension.critical, "acmeIdentifier is not critical"
            assert isinstance(extension.value, x509.UnrecognizedExtension)
            assert extension.value.value == b"\x04\x20" + digest.finalize(), "another answer"
            assert tls.recv(1) == b"", "there is data"


@contextmanager
def asked_by_authority(port: int, name: str) -> Iterator[ssl.SSLSocket]:
    """A connection as an authority makes one for tls-alpn-01."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols([PROTOCOL])
    with (
        socket.create_connection(("127.0.0.1", port), timeout=30) as connection,
        context.wrap_socket(connection, server_hostname=name) as tls,
    ):
        yield tls


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # so that the end waits for what is under way


class _Handler(BaseHTTPRequestHandler):
    authority: AcmeAuthority
    protocol_version = "HTTP/1.1"
    timeout = 30
    wbufsize = -1  # an answer in one piece: each further one would wait for an acknowledgement

    def _answer(self, status: int, what: object, fields: dict[str, str]) -> None:
        body = what.encode() if isinstance(what, str) else json.dumps(what).encode()
        self.send_response(status)
        fields.setdefault("Content-Type", "application/json")
        fields["Replay-Nonce"] = self.authority.nonce()
        for name, value in {**fields, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _serve(self) -> None:
        if self.authority.is_down:
            self.close_connection = True
            return
        try:
            path = urlsplit(self.path).path
            if self.command == "HEAD":
                self._answer(200, "", {})
            elif self.command == "GET":
                again = {"Retry-After": self.authority.again} if self.authority.again else {}
                self._answer(200, self.authority.get(path), again)
            else:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self._answer(*self.authority.post(path, body))
        except ProblemError as problem:
            fields = {"Content-Type": "application/problem+json"}
            self._answer(problem.status, problem.document, fields)

    do_GET = do_HEAD = do_POST = _serve  # noqa: N815  # as the library has it

    def log_message(self, *_: object) -> None:
        pass
