"""An engine behind TLS: both sides prove who they are, or there is no connection."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from fakes.scripted_engine import Exchange, ScriptedEngine, replying

from agent.adapters.engine import DockerEngine, Endpoint
from agent.ports import EngineError, EngineUnreachable, Json

pytestmark = pytest.mark.real_time

DEADLINE_S = 10.0
START, END = datetime(2020, 1, 1, tzinfo=UTC), datetime(2120, 1, 1, tzinfo=UTC)


SIGNS_CERTIFICATES = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


class Authority:
    """A certificate authority that exists for one test."""

    def __init__(self, name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        usage = x509.BasicConstraints(ca=True, path_length=0)
        self.certificate = self._sign(self._name, self._key.public_key(), usage)

    def issue(self, directory: Path) -> Path:
        """Writes `ca.pem`, `cert.pem` and `key.pem`; the certificate is 127.0.0.1's."""
        directory.mkdir()
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "either side")])
        alternative = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
        certificate = self._sign(name, key.public_key(), alternative)
        encoding = serialization.Encoding.PEM
        (directory / "ca.pem").write_bytes(self.certificate.public_bytes(encoding))
        (directory / "cert.pem").write_bytes(certificate.public_bytes(encoding))
        (directory / "key.pem").write_bytes(
            key.private_bytes(
                encoding,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return directory

    def _sign(
        self, name: x509.Name, key: ec.EllipticCurvePublicKey, extension: x509.ExtensionType
    ) -> x509.Certificate:
        builder = x509.CertificateBuilder(self._name, name, key, x509.random_serial_number())
        builder = builder.not_valid_before(START).not_valid_after(END)
        is_authority = isinstance(extension, x509.BasicConstraints)
        # What follows is what newer Pythons demand of every certificate.
        signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = builder.add_extension(extension, critical=is_authority)
        builder = builder.add_extension(signer, critical=False)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), False)
        if is_authority:
            builder = builder.add_extension(SIGNS_CERTIFICATES, critical=True)
        return builder.sign(self._key, hashes.SHA256())


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    return Authority("ours").issue(tmp_path / "ours")


@pytest.fixture
def scripted(certificates: Path) -> Iterator[ScriptedEngine]:
    """An engine that asks for a certificate, as Docker does with `--tlsverify`."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificates / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(certificates / "cert.pem", certificates / "key.pem")
    with ScriptedEngine(tls=context) as scripted:
        scripted.on("GET", "/containers/json", replying(200, []))
        yield scripted


class Sink:
    def __init__(self) -> None:
        self.heard = asyncio.Event()
        self.reasons: list[str] = []

    def event(self, event: Json) -> None:
        self.heard.set()

    def ended(self, reason: str) -> None:
        self.reasons.append(reason)


class Screen:
    def __init__(self) -> None:
        self.heard = asyncio.Event()
        self.text, self.reasons = b"", list[str]()

    def data(self, data: bytes) -> None:
        self.text += data

    def ended(self, reason: str) -> None:
        self.reasons.append(reason)
        self.heard.set()


async def ask(endpoint: Endpoint) -> list[Json]:
    engine = DockerEngine(endpoint)
    try:
        return await engine.containers(deadline_s=DEADLINE_S)
    finally:
        await engine.close()


@pytest.mark.parametrize("verify", [True, False])
async def test_both_sides_have_certificates(
    scripted: ScriptedEngine, certificates: Path, verify: bool
) -> None:
    """DOCKER_CERT_PATH is all it takes; unchecked is as quiet as checked."""
    endpoint = Endpoint.parse(scripted.address, cert_path=certificates, verify=verify)
    assert await ask(endpoint) == []


@pytest.mark.parametrize("verify", [True, False])
async def test_a_terminal(scripted: ScriptedEngine, certificates: Path, verify: bool) -> None:
    """Its connection is one of the event loop's own, and as safe as the others."""

    def start(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.1 101 UPGRADED\r\nUpgrade: tcp\r\n\r\n17\r\n$ ")
        exchange.hang_up()

    scripted.on("POST", "/containers/web/exec", replying(201, {"Id": "e"}))
    scripted.on("POST", "/exec/e/start", start)
    engine = DockerEngine(Endpoint.parse(scripted.address, cert_path=certificates, verify=verify))
    screen = Screen()
    terminal = await engine.open_terminal("web", ["sh"], {}, screen, deadline_s=DEADLINE_S)
    async with asyncio.timeout(DEADLINE_S):
        await screen.heard.wait()
    assert (screen.text, screen.reasons) == (b"$ ", [""])
    terminal.close()
    await engine.close()


async def test_an_engine_with_a_strangers_certificate(
    scripted: ScriptedEngine, tmp_path: Path
) -> None:
    """It is not spoken to, and the text says what was checked and where to look."""
    strange = Authority("a stranger").issue(tmp_path / "strange")
    endpoint = Endpoint.parse(scripted.address, cert_path=strange, verify=True)
    with pytest.raises(EngineUnreachable, match=r"TLS .* failed: .*Check DOCKER_TLS_VERIFY"):
        await ask(endpoint)
    assert scripted.asked == []


async def test_without_an_authority_of_ones_own_the_public_ones_count(
    scripted: ScriptedEngine,
) -> None:
    """An https address and nothing else: what no public authority signed is not trusted."""
    with pytest.raises(EngineUnreachable, match=r"TLS .* failed"):
        await ask(Endpoint.parse(scripted.address.replace("tcp", "https")))


async def test_an_engine_that_refuses_our_certificate(
    scripted: ScriptedEngine, tmp_path: Path
) -> None:
    """Without checking it we do speak to it, and it hangs up."""
    strange = Authority("a stranger").issue(tmp_path / "strange")
    with pytest.raises(EngineUnreachable):
        await ask(Endpoint.parse(scripted.address, cert_path=strange))
    assert scripted.asked == []


async def test_the_clear_is_not_understood_where_tls_is_spoken(scripted: ScriptedEngine) -> None:
    """Forgotten variables are an error, whatever the engine makes of it."""
    with pytest.raises(EngineError):
        await ask(Endpoint.parse(scripted.address))


async def test_closing_ends_a_silent_stream_under_tls(
    scripted: ScriptedEngine, certificates: Path
) -> None:
    """The connection is shut down under the TLS session, and the sink hears no more."""

    def one_event(exchange: Exchange) -> None:
        exchange.begin_stream()
        exchange.chunk(b'{"n": 1}\n')
        exchange.wait_for_hang_up()

    scripted.on("GET", "/events", one_event)
    engine = DockerEngine(Endpoint.parse(scripted.address, cert_path=certificates, verify=True))
    sink = Sink()
    reader = engine.read_events({}, sink)
    async with asyncio.timeout(DEADLINE_S):
        await sink.heard.wait()
    reader.close()
    loop = asyncio.get_running_loop()
    assert await loop.run_in_executor(None, scripted.hung_up.wait, DEADLINE_S)
    assert sink.reasons == []
    await engine.close()
