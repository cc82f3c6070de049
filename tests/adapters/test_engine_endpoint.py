"""Addresses of engines: what is taken, and what is refused with a sentence that helps."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.adapters.engine import Endpoint, EndpointError


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    for name in ("ca.pem", "cert.pem", "key.pem"):
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("unix:///var/run/docker.sock", "unix:///var/run/docker.sock"),
        (" /run/podman/podman.sock ", "unix:///run/podman/podman.sock"),
        ("unix:///srv/a b?c#d%20.sock", "unix:///srv/a b?c#d%20.sock"),
        ("tcp://192.0.2.7:2375", "http://192.0.2.7:2375"),
        ("tcp://192.0.2.7", "http://192.0.2.7:2375"),
        ("http://engine.example:80/", "http://engine.example:80"),
        ("https://engine.example", "https://engine.example:2376"),
        ("tcp://[2001:db8::7]:2375", "http://[2001:db8::7]:2375"),
        ("https://proxy.example:443/docker/", "https://proxy.example:443/docker"),
    ],
)
def test_an_address_is_taken_as_the_docker_cli_takes_it(address: str, url: str) -> None:
    """Sockets by URL or path, tcp and http in the clear, https with TLS; ports are Docker's own."""
    endpoint = Endpoint.parse(address)
    assert (endpoint.url, str(endpoint)) == (url, url)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("", "DOCKER_HOST is not an address of an engine: write it like unix:///"),
        ("engine.example:2375", "not an address of an engine"),
        ("ftp://engine.example", "not an address of an engine"),
        ("ssh://root@engine.example", "ssh:// is not supported: run the agent on the engine's own"),
        ("npipe:////./pipe/docker_engine", "npipe:// is a Windows pipe"),
        ("unix://docker.sock", "a socket's path starts at the root"),
        (f"unix:///{'x' * 107}", "longer than the 107 bytes"),
        ("tcp://", "has no host"),
        ("tcp://192.0.2.7:port", "not a valid address"),
        ("tcp://192.0.2.7:2375?x=1", "parts that no engine's has"),
        ("tcp://192.0.2.7 :2375", "parts that no engine's has"),
    ],
)
def test_any_other_address_is_refused(address: str, words: str) -> None:
    """The error names the variable and says what to write instead."""
    with pytest.raises(EndpointError, match=r"^DOCKER_HOST") as refusal:
        Endpoint.parse(address)
    assert words in str(refusal.value)


@pytest.mark.parametrize("address", ["tcp://ann:secret@192.0.2.7:2375", "tcp://ann:secret@x:port"])
def test_a_password_is_refused_and_not_repeated(address: str) -> None:
    """Nothing of an address with a password is in the error."""
    with pytest.raises(EndpointError) as refusal:
        Endpoint.parse(address)
    assert "secret" not in str(refusal.value)


def test_tls_variables_turn_tcp_into_tls(certificates: Path) -> None:
    """DOCKER_TLS_VERIFY checks the engine; DOCKER_CERT_PATH alone does not, as with the Docker CLI."""
    checked = Endpoint.parse("tcp://192.0.2.7", cert_path=certificates, verify=True)
    assert checked == Endpoint("https://192.0.2.7:2376", certificates, verify=True)
    unchecked = Endpoint.parse("tcp://192.0.2.7", cert_path=certificates)
    assert unchecked == Endpoint("https://192.0.2.7:2376", certificates, verify=False)


def test_https_without_variables_checks_the_engine() -> None:
    """Whoever writes https and nothing else gets a certificate that is checked."""
    assert Endpoint.parse("https://192.0.2.7").verify


def test_a_socket_has_no_tls(tmp_path: Path) -> None:
    """With a unix socket the TLS variables mean nothing, not even files that must exist."""
    endpoint = Endpoint.parse("/var/run/docker.sock", cert_path=tmp_path, verify=True)
    assert endpoint.cert_path is None


def test_http_and_tls_contradict_each_other(certificates: Path) -> None:
    """An address that says http is not silently used in the clear when TLS was asked for."""
    with pytest.raises(EndpointError, match="write tcp:// or https://"):
        Endpoint.parse("http://192.0.2.7", cert_path=certificates)


@pytest.mark.parametrize("missing", ["ca.pem", "cert.pem", "key.pem"])
def test_a_missing_tls_file_is_named(certificates: Path, missing: str) -> None:
    """Found when the agent starts, with the path of the file."""
    (certificates / missing).unlink()
    with pytest.raises(EndpointError, match=f"cannot read {certificates / missing}"):
        Endpoint.parse("tcp://192.0.2.7", cert_path=certificates, verify=True)


def test_the_authority_is_needed_only_to_check(certificates: Path) -> None:
    """Without DOCKER_TLS_VERIFY nobody reads ca.pem."""
    (certificates / "ca.pem").unlink()
    assert not Endpoint.parse("tcp://192.0.2.7", cert_path=certificates).verify
