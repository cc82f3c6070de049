"""One container of the engine in memory, and how dockerd shows it."""

from __future__ import annotations

from dataclasses import dataclass, field

from agent.ports import Json

NEVER = "0001-01-01T00:00:00Z"


@dataclass(slots=True)
class Box:
    """`config` and `host_config` are as an inspection shows them.

    Attributes:
        endpoints: `EndpointSettings` by the network's name; of one that does not run without addresses and IDs.
        mounts: As in an inspection.
        runs: How often it was started: a timer of an earlier run has nothing to say in a later one.
        log: (stamp, stream, text) of each line.
    """

    id: str
    name: str
    image: str
    image_id: str = ""
    created_at: str = NEVER
    running: bool = False
    restarting: bool = False
    paused: bool = False
    started_at: str = NEVER
    finished_at: str = NEVER
    exit_code: int = 0
    error: str = ""
    health: str = ""
    restart_count: int = 0
    config: Json = field(default_factory=dict)
    host_config: Json = field(default_factory=dict)
    endpoints: dict[str, Json] = field(default_factory=dict)
    mounts: list[Json] = field(default_factory=list)
    runs: int = 0
    log: list[tuple[str, int, str]] = field(default_factory=list)

    @property
    def status(self) -> str:
        if self.restarting:
            return "restarting"
        if self.running:
            return "paused" if self.paused else "running"
        return "created" if self.started_at == NEVER else "exited"

    @property
    def network_mode(self) -> str:
        return str(self.host_config.get("NetworkMode") or "default")

    @property
    def auto_remove(self) -> bool:
        return bool(self.host_config.get("AutoRemove"))

    def volume_names(self) -> list[str]:
        return [mount["Name"] for mount in self.mounts if mount["Type"] == "volume"]

    def restarts_after(self, exit_code: int) -> bool:
        """Whether its policy has it started again after it ended by itself."""
        policy = self.host_config.get("RestartPolicy") or {}
        most = policy.get("MaximumRetryCount") or 0
        match policy.get("Name"):
            case "always" | "unless-stopped":
                return True
            case "on-failure":
                return exit_code != 0 and (not most or self.restart_count < most)
        return False

    def listed(self, image: str) -> Json:
        """As in `GET /containers/json`; `image` is what it calls the image by now."""
        return {
            "Id": self.id,
            "Names": [f"/{self.name}"],
            "Image": image,
            "ImageID": self.image_id,
            "Command": " ".join(self.config.get("Cmd") or ()),
            "Created": 1767225600,
            "Ports": self._ports() if self.running else [],
            "Labels": dict(self.config.get("Labels") or {}),
            "State": self.status,
            "Status": self._sentence(),
            "HostConfig": {"NetworkMode": self.network_mode},
            "NetworkSettings": {"Networks": self.endpoints},
            "Mounts": self.mounts,
        }

    def inspected(self) -> Json:
        config = {"Tty": False, "Env": None, "Cmd": None, "Labels": {}, **self.config}
        if not config.get("Hostname") and not self.network_mode.startswith("container:"):
            config["Hostname"] = self.id[:12]
        return {
            "Id": self.id,
            "Name": f"/{self.name}",
            "Created": self.created_at,
            "Image": self.image_id,
            "RestartCount": self.restart_count,
            "Config": config,
            "HostConfig": self.host_config,
            "State": self._state(),
            "Mounts": self.mounts,
            "NetworkSettings": {"Networks": self.endpoints, "Ports": {}},
        }

    def _state(self) -> Json:
        state = {
            "Status": self.status,
            "Running": self.running,
            "Paused": self.paused,
            "Restarting": self.restarting,
            "OOMKilled": False,
            "Dead": False,
            "Pid": 4711 + self.runs if self.running and not self.restarting else 0,
            "ExitCode": self.exit_code,
            "Error": self.error,
            "StartedAt": self.started_at,
            "FinishedAt": self.finished_at,
        }
        if self.health:
            state["Health"] = {"Status": self.health, "FailingStreak": 0, "Log": []}
        return state

    def _sentence(self) -> str:
        match self.status:
            case "created":
                return "Created"
            case "restarting":
                return f"Restarting ({self.exit_code}) 1 second ago"
            case "exited":
                return f"Exited ({self.exit_code}) 1 second ago"
            case "paused":
                return "Up 1 second (Paused)"
        return f"Up 1 second ({self.health})" if self.health else "Up 1 second"

    def _ports(self) -> list[Json]:
        return [
            _port(port, binding)
            for port, bindings in (self.host_config.get("PortBindings") or {}).items()
            for binding in bindings or ()
        ]


def _port(port: str, binding: Json) -> Json:
    number, _, protocol = port.partition("/")
    return {
        "IP": binding.get("HostIp") or "0.0.0.0",  # noqa: S104  what dockerd says
        "PrivatePort": int(number),
        "PublicPort": int(binding["HostPort"]),
        "Type": protocol or "tcp",
    }
