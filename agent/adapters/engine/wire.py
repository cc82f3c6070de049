"""One thread's way to the engine: requests in, checked answers out, errors already ours."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import docker
import requests
import urllib3
from docker.constants import DEFAULT_DOCKER_API_VERSION, MINIMUM_DOCKER_API_VERSION
from docker.tls import TLSConfig

from agent.adapters.engine.endpoint import Endpoint
from agent.adapters.engine.errors import failed, refused
from agent.adapters.engine.transport import UnixAdapter
from agent.ports import EngineError, EngineRefused, EngineUnreachable, Json

CONNECT_S = 5.0
"""An engine that is there takes a connection at once; five seconds allow for a slow network."""

CHUNK_BYTES = 64 * 1024
LINE_MAX_BYTES = 4 * 1024 * 1024
"""An event carries its container's labels, which are some kilobytes; more than this is no event."""

_ERROR_MAX_BYTES = 64 * 1024


class GivenUp(EngineError):
    """Nobody waits for this answer any more. Never seen outside the thread that raises it."""


class Call:
    """What bounds one call: the longest silence of the engine, and whether anybody still waits.

    It is given up on the loop's thread, or whichever waits, and read on another.
    """

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self._lock = threading.Lock()  # guards what follows
        self._given_up = False
        self._response: requests.Response | None = None

    @property
    def given_up(self) -> bool:
        return self._given_up

    def give_up(self) -> None:
        """Nobody waits any more: an answer that is being read is broken off, however silent the engine is."""
        with self._lock:
            self._given_up = True
            if self._response is not None:
                # Wakes the thread, which closes what it owns. The engine may have hung up before us.
                with contextlib.suppress(OSError, RuntimeError, ValueError):
                    self._response.raw.shutdown()

    @contextlib.contextmanager
    def reading(self, response: requests.Response) -> Iterator[None]:
        """While inside, `give_up` breaks `response` off.

        Raises:
            GivenUp: That was done already.
        """
        with self._lock:
            if self._given_up:
                raise GivenUp("given up")
            self._response = response
        try:
            yield
        finally:
            with self._lock:
                self._response = None


@dataclass(slots=True)
class Dialect:
    """The API version all wires speak, None until the engine was asked.

    Forgotten whenever a connection breaks, for the engine may come back as another version.
    """

    version: str | None = None


class Wire:
    """A `docker.APIClient` and its one kept connection. Not for two threads: a session of `requests` is not."""

    def __init__(self, endpoint: Endpoint, dialect: Dialect) -> None:
        self._endpoint, self._dialect = endpoint, dialect
        self._owned = contextlib.ExitStack()

    def negotiate(self, call: Call) -> Json:
        """Asks `/version`, and speaks from now on the newest version that both sides know.

        Raises:
            EngineError: as everything here.
        """
        answer = self._object(self._open(call, "GET", "/version"), call)
        self._dialect.version = common_version(answer)
        return answer

    def version(self, call: Call) -> str:
        """The API version that is spoken, such as `1.41`."""
        # Read once: a connection that breaks on another thread sets it to None.
        return self._dialect.version or common_version(self.negotiate(call))

    def open(
        self,
        call: Call,
        method: str,
        path: str,
        params: Mapping[str, str] | None = None,
        body: Json | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Sends a request and returns when the headers of a good answer are here; its body is the caller's to close."""
        return self._open(call, method, f"/v{self.version(call)}{path}", params, body, headers)

    def order(
        self,
        call: Call,
        path: str,
        params: Mapping[str, str] | None = None,
        body: Json | None = None,
        *,
        method: str = "POST",
    ) -> None:
        """Has something done. That it was done already (304) is good too."""
        with self.open(call, method, path, params, body) as response:
            for _ in self.chunks(response, call):
                pass  # nothing for us is in there; read to its end, the connection can be kept

    def object(
        self,
        call: Call,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Json:
        return self._object(self.open(call, "GET", path, params, headers=headers), call)

    def objects(
        self, call: Call, path: str, *, params: Mapping[str, str] | None = None
    ) -> list[Json]:
        return self.checked(self._json(self.open(call, "GET", path, params), call))

    def checked(self, answer: Any) -> list[Json]:
        """`answer`, which is to be a list of objects."""
        if isinstance(answer, list) and all(isinstance(each, dict) for each in answer):
            return answer
        raise self.nonsense("no list of objects")

    def post(
        self,
        call: Call,
        path: str,
        params: Mapping[str, str] | None = None,
        body: Json | None = None,
    ) -> Json:
        """Has something done that is answered with an object."""
        return self._object(self.open(call, "POST", path, params, body), call)

    def made(self, call: Call, path: str, params: Mapping[str, str], body: Json, what: str) -> str:
        """Has something created, and returns its ID; `what` it is, as an error would say."""
        made = self.post(call, path, params, body).get("Id")
        if isinstance(made, str) and made:
            return made
        raise self.nonsense(f"no ID of the {what}")

    def chunks(self, response: requests.Response, call: Call) -> Iterator[bytes]:
        """The body as it comes.

        Raises:
            GivenUp: `call` was given up.
        """
        with call.reading(response):
            while True:
                with self._ours(call):
                    data: bytes = response.raw.read1(CHUNK_BYTES)
                if call.given_up:
                    raise GivenUp("given up")
                if not data:
                    return
                yield data

    def lines(self, response: requests.Response, call: Call) -> Iterator[bytes]:
        """The body's lines as they come, without their ends; empty ones are left out."""
        rest = b""
        for data in self.chunks(response, call):
            *complete, rest = (rest + data).split(b"\n")
            yield from filter(None, map(bytes.strip, complete))
            if len(rest) > LINE_MAX_BYTES:
                raise self.nonsense("a line without an end")
        if rest := rest.strip():
            yield rest

    def forget_version(self) -> None:
        """The engine went away, and may come back as another version."""
        self._dialect.version = None

    def close(self) -> None:
        self._owned.close()

    @cached_property
    def _client(self) -> docker.APIClient:
        endpoint = self._endpoint
        try:
            # The version is ours to negotiate: "auto" would contact the engine in here.
            client = docker.APIClient(
                # The package never uses this socket; ours is mounted below.
                "unix:///socket" if endpoint.socket_path else endpoint.url,
                version=DEFAULT_DOCKER_API_VERSION,
                tls=_tls(endpoint),
            )
        except (docker.errors.DockerException, ValueError) as err:
            # It reads Docker's config.json, whose contents are secret.
            raise EngineUnreachable(
                "Docker's own configuration (~/.docker/config.json) cannot be read "
                f"({type(err).__name__}): correct or remove it"
            ) from None
        self._owned.enter_context(contextlib.closing(client))
        if endpoint.socket_path:
            client.mount("http+docker://", UnixAdapter(endpoint.socket_path))
        # HTTP_PROXY and REQUESTS_CA_BUNDLE are meant for the way to the server.
        client.trust_env = False
        client.headers["Accept-Encoding"] = "identity"
        return client

    def _open(
        self,
        call: Call,
        method: str,
        path: str,
        params: Mapping[str, str] | None = None,
        body: Json | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> requests.Response:
        with self._ours(call):
            response = self._client.request(
                method,
                f"{self._client.base_url}{path}",
                params=params,
                json=body,
                headers=headers,
                timeout=(min(CONNECT_S, call.timeout_s), call.timeout_s),
                stream=True,
                allow_redirects=False,
            )
            if response.status_code < 300 or response.status_code == 304:
                return response
            with response:
                said = response.raw.read(_ERROR_MAX_BYTES)
            raise refused(response.status_code, response.reason or "", said)

    @contextlib.contextmanager
    def _ours(self, call: Call) -> Iterator[None]:
        try:
            yield
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as err:
            if call.given_up:  # it is we who broke it off
                raise GivenUp("given up") from err
            error = failed(err, self._endpoint, call.timeout_s)
            if isinstance(error, EngineUnreachable):
                self.forget_version()
            raise error from err

    def _json(self, response: requests.Response, call: Call) -> Any:
        with response:
            body = b"".join(self.chunks(response, call))
        try:
            return json.loads(body)
        except ValueError as err:
            raise self.nonsense("no JSON") from err

    def _object(self, response: requests.Response, call: Call) -> Json:
        answer = self._json(response, call)
        if isinstance(answer, dict):
            return answer
        raise self.nonsense("no object")

    def nonsense(self, what: str) -> EngineRefused:
        return EngineRefused(
            f"What answers at {self._endpoint} is no Docker engine: it sent {what}", 200
        )


def common_version(answer: Json) -> str:
    """The newest API version that the engine and the `docker` package both know, from `/version`.

    An engine newer than that still speaks it, unless it says so with `MinAPIVersion`.

    Raises:
        EngineRefused: It is no engine, or too old.
    """
    try:
        newest, oldest = str(answer["ApiVersion"]), str(answer.get("MinAPIVersion") or "0")
        version = max(
            min(newest, DEFAULT_DOCKER_API_VERSION, key=version_parts), oldest, key=version_parts
        )
        if version_parts(version) >= version_parts(MINIMUM_DOCKER_API_VERSION):
            return version
    except (KeyError, ValueError):
        raise EngineRefused(
            "What answers is no Docker engine: it has no API version", 200
        ) from None
    raise EngineRefused(
        f"The engine speaks API {version}; the agent needs {MINIMUM_DOCKER_API_VERSION} or newer: "
        "upgrade Docker",
        200,
    )


def version_parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _tls(endpoint: Endpoint) -> TLSConfig | bool:
    if not endpoint.url.startswith("https://"):
        return False
    if not endpoint.verify:
        # It would be said with each request; that nothing is checked is what the operator asked for.
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    if endpoint.cert_path is None:
        return TLSConfig(verify=endpoint.verify)
    directory = endpoint.cert_path
    return TLSConfig(
        client_cert=(str(directory / "cert.pem"), str(directory / "key.pem")),
        ca_cert=str(directory / "ca.pem"),
        verify=endpoint.verify,
    )
