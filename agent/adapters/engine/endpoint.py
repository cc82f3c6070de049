"""Where the engine is, and how it and we prove who we are. Nothing here connects."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

_SOCKET_PATH_MAX_BYTES = 107  # what the kernel takes for a unix socket
_EXAMPLES = "write it like unix:///var/run/docker.sock or tcp://192.0.2.7:2376"


class EndpointError(Exception):
    """The engine's address or its TLS files cannot be used: the operator's to mend.

    The text is one line that names the variable and the remedy. It never repeats an address that
    may hold a password.
    """


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address that was checked. `url` is `unix://PATH`, `http://HOST:PORT` or `https://HOST:PORT`.

    With https, `cert_path` is the directory of `cert.pem`, `key.pem` and `ca.pem`, None for the
    public authorities and no certificate of ours; `verify` says whether the engine's is checked.
    """

    url: str
    cert_path: Path | None = None
    verify: bool = True

    @classmethod
    def parse(
        cls, address: str, *, cert_path: Path | None = None, verify: bool = False
    ) -> Endpoint:
        """Reads DOCKER_HOST, DOCKER_CERT_PATH and DOCKER_TLS_VERIFY as the Docker CLI does.

        A tcp address is TLS when either of the other two is given; a unix socket never is.

        Raises:
            EndpointError: The address is not one, or is of a kind we do not speak, or TLS files
                are missing.
        """
        address = address.strip()
        if address.startswith("/"):
            address = f"unix://{address}"
        scheme, _, rest = address.partition("://")
        match scheme:
            case "unix" | "http+unix":
                return cls(f"unix://{_socket_path(rest)}")
            case "tcp" | "http" | "https":
                wants_tls = verify or cert_path is not None
                if scheme == "http" and wants_tls:
                    raise EndpointError(
                        "DOCKER_HOST says http, DOCKER_TLS_VERIFY or DOCKER_CERT_PATH ask for TLS: "
                        "write tcp:// or https:// instead"
                    )
                is_tls = wants_tls or scheme == "https"
                url = _network_url(address, is_tls=is_tls)
                if not is_tls:
                    return cls(url)
                _check_files(cert_path, verify=verify)
                # As with Docker's CLI, certificates without DOCKER_TLS_VERIFY mean TLS unchecked.
                return cls(url, cert_path, verify or cert_path is None)
            case "ssh":
                raise EndpointError(
                    "DOCKER_HOST: ssh:// is not supported: run the agent on the engine's own host, "
                    "or reach the engine over tcp:// with TLS"
                )
            case "npipe":
                raise EndpointError(
                    "DOCKER_HOST: npipe:// is a Windows pipe, which the agent cannot open: use "
                    "unix:// or tcp:// with TLS"
                )
        raise EndpointError(f"DOCKER_HOST is not an address of an engine: {_EXAMPLES}")

    @property
    def socket_path(self) -> str | None:
        """The unix socket's path, or None for a network address."""
        return self.url.removeprefix("unix://") if self.url.startswith("unix://") else None

    def __str__(self) -> str:
        return self.url


def _socket_path(path: str) -> str:
    if not path.startswith("/"):
        raise EndpointError(f"DOCKER_HOST: a socket's path starts at the root: {_EXAMPLES}")
    if len(os.fsencode(path)) > _SOCKET_PATH_MAX_BYTES:
        raise EndpointError(
            f"DOCKER_HOST: the path is longer than the {_SOCKET_PATH_MAX_BYTES} bytes that a unix "
            "socket's may have: make it shorter, with a symbolic link for instance"
        )
    return path


def _network_url(address: str, *, is_tls: bool) -> str:
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:  # its text may repeat a password
        raise EndpointError(f"DOCKER_HOST is not a valid address: {_EXAMPLES}") from None
    if "@" in parts.netloc:
        raise EndpointError(
            "DOCKER_HOST holds a user name or a password, which no engine asks for: leave it out"
        )
    if not host or "?" in address or "#" in address or not _is_plain(address):
        raise EndpointError(f"DOCKER_HOST has no host, or parts that no engine's has: {_EXAMPLES}")
    return _joined(parts, f"[{host}]" if ":" in host else host, port, is_tls=is_tls)


def _is_plain(address: str) -> bool:
    return address.isprintable() and " " not in address


def _joined(parts: SplitResult, host: str, port: int | None, *, is_tls: bool) -> str:
    scheme, usual_port = ("https", 2376) if is_tls else ("http", 2375)
    return f"{scheme}://{host}:{port or usual_port}{parts.path.rstrip('/')}"


def _check_files(cert_path: Path | None, *, verify: bool) -> None:
    if cert_path is None:
        return
    for name in ("cert.pem", "key.pem", *(["ca.pem"] if verify else [])):
        if not os.access(cert_path / name, os.R_OK):
            raise EndpointError(
                f"DOCKER_CERT_PATH: cannot read {cert_path / name}: TLS to the engine takes "
                "ca.pem, cert.pem and key.pem in that directory"
            )
