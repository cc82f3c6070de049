"""What the engine in memory has, and what a test does to it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

from fakes.box import Box
from fakes.container_store import ContainerStore
from fakes.engine_requests import EngineRequests
from fakes.event_ring import EventRing
from fakes.image_store import ImageStore, Recipe
from fakes.network_store import NetworkStore
from fakes.terminal import FakeTerminal
from fakes.usage import Usage
from fakes.volume_store import VolumeStore

from agent.clock import utcnow
from agent.core.rfc3339 import rfc3339
from agent.ports import EngineFacts, Json

PAPER = "paper:2.4"


class EngineWorld(EngineRequests):
    """Restart policies are acted upon where an image's `Recipe` makes its containers die; else a test has its say.

    Attributes:
        boxes: The containers by ID (64 characters).
        registry: What a reference brings when it is pulled or first used (`Recipe`); a plain image if it is not there.
        usage: What `stats` tells of a container, by its ID.
        terminals: All that were opened, in order.
        api: The version of the API.
        actions: What was carried out, (method, object) in order: the world's own record. The object is a container's
            or another's name; of connect and disconnect `NETWORK/CONTAINER`.
    """

    def __init__(self, *, engine_id: str = "TEST:ENGINE", name: str = "engine-of-tests") -> None:
        super().__init__()
        self.engine_facts = EngineFacts(
            engine_id, name, version="20.10.24", total_memory_bytes=8 << 30, num_cpus=4
        )
        self.api = (1, 41)
        self.boxes: dict[str, Box] = {}
        self.ring = EventRing()
        self.image_store = ImageStore(self.ring, self.boxes)
        self.network_store = NetworkStore(self.ring, self.boxes)
        self.volume_store = VolumeStore(self.ring, self.boxes)
        self.container_store = ContainerStore(
            self.ring, self.boxes, self.image_store, self.network_store, self.volume_store
        )
        self.usage: dict[str, Usage] = {}
        self.terminals: list[FakeTerminal] = []
        self.actions: list[tuple[str, str]] = []
        self.image_store.add(PAPER)

    @property
    def registry(self) -> dict[str, Recipe]:
        return self.image_store.registry

    def add(
        self,
        name: str,
        *,
        running: bool = False,
        image: str = PAPER,
        config: Json | None = None,
        host_config: Json | None = None,
        endpoints: Mapping[str, Json] | None = None,
    ) -> str:
        """A container that has been there all along: no event tells of it. Returns its ID.

        Args:
            config, host_config: The Engine API's own, beside an Env and a restart policy.
            endpoints: `EndpointSettings` by the name of a network; the first is the one it is created with.
        """
        if self.image_store.id_of(image) is None:
            self.image_store.add(image)
        first, *further = (endpoints or {}).items() or [("", {})]
        body = {"Image": image, "Env": ["TZ=UTC"], **(config or {})}
        body["HostConfig"] = {
            "RestartPolicy": {"Name": "unless-stopped", "MaximumRetryCount": 0},
            **({"NetworkMode": first[0]} if first[0] else {}),
            **(host_config or {}),
        }
        if first[0]:
            body["NetworkingConfig"] = {"EndpointsConfig": dict([first])}
        with self._unseen():
            box = self.container_store.create(body, name)
            for network, settings in further:
                self.network_store.connect(network, box, settings)
        if running:
            self.starts_unseen(box.id)
        return box.id

    def add_network(self, name: str, subnet: str = "") -> str:
        """A network that has been there all along. Returns its ID."""
        ipam = {"Config": [{"Subnet": subnet}]} if subnet else {}
        with self._unseen():
            return self.network_store.create({"Name": name, "IPAM": ipam})

    def cut_streams(self, reason: str) -> None:
        """As when a proxy in front of the engine ends them: the engine itself goes on."""
        self.ring.end_streams(reason)

    def dies(self, container: str, *, exit_code: int = 1) -> None:
        """Its process ends by itself, and nothing starts it again."""
        self.container_store.dies(self._box(container), exit_code)

    def dies_unseen(self, container: str, *, exit_code: int = 1) -> None:
        """As when the engine is down, or a stream drops events: the state changes and nothing is told."""
        with self._unseen():
            self.container_store.dies(self._box(container), exit_code)

    def starts_unseen(self, container: str) -> None:
        with self._unseen():
            self.container_store.start(self._box(container))

    def goes_unseen(self, container: str) -> None:
        with self._unseen():
            self.container_store.remove(self._box(container), force=True)

    def writes(self, container: str, text: str, *, stream: int = 1) -> None:
        """The container logs one line: stream 1 is stdout, 2 is stderr."""
        self._box(container).log.append((f"{rfc3339(utcnow())[:-1]}000Z", stream, text))

    def emit(self, action: str, box: Box, *, type: str = "container", **attributes: str) -> None:  # noqa: A002  the wire's word
        """Puts one event into the ring and every open stream."""
        if type == "container":
            self.container_store.emit(action, box, **attributes)
        else:
            told = {"image": box.image, "name": box.name, **attributes}
            self.ring.tell(type, action, box.id, told)

    def down(self) -> None:
        """It goes away: streams end, calls fail, those under way too. Containers stay as they are."""
        self.ring.muted = True
        self.ring.end_streams("the engine went away")
        self._break_off()

    def up(self, *, keep_ring: bool = False) -> None:
        """It is back. A dockerd that was restarted has lost its ring; `keep_ring` is a connection that was cut."""
        if not keep_ring:
            self.ring.clear()
        self.is_up, self.ring.muted = True, False

    @contextlib.contextmanager
    def _unseen(self) -> Iterator[None]:
        """What happens meanwhile is told to nobody."""
        before, self.ring.muted = self.ring.muted, True
        try:
            yield
        finally:
            self.ring.muted = before

    def _box(self, container: str) -> Box:
        return self.container_store.find(container)
