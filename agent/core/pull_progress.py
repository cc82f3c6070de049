"""How far a pull is, out of the lines that the engine writes while it pulls."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]


MAX_LAYERS = 20
"""The server takes no more of them in one event."""

DUE_EVERY_S = 0.5
DUE_POINTS = 5

_MAX_KNOWN = 1000
"""An image has 127 layers at most; whatever sends more than these is not believed."""

_SAMPLE_S = 1.0
_SAMPLES = 3
_MIB = 1 << 20

_BEFORE = ("Pulling fs layer", "Waiting", "Retrying")
_DOWNLOADED = ("Verifying Checksum", "Download complete", "Extracting", "Pull complete")
_COMPLETE = ("Pull complete", "Already exists")


@dataclass(slots=True)
class _Layer:
    """`current` and `total` are bytes of what it does now, `downloaded` and `size` of its download; 0: not known."""

    id: str
    status: str = ""
    current: int = 0
    total: int = 0
    size: int = 0
    downloaded: int = 0

    @property
    def is_complete(self) -> bool:
        return self.status in _COMPLETE

    @property
    def percent(self) -> int:
        if self.is_complete or self.status == "Download complete":
            return 100
        return self.current * 100 // self.total if self.total else 0

    @property
    def place(self) -> int:
        """Where users look for it: first what is being worked on, then what waits, last what is done."""
        if self.is_complete:
            return 2
        return 1 if self.status.startswith(_BEFORE) else 0

    def take(self, status: str, current: int, total: int) -> None:
        self.status, self.current, self.total = status, min(current, total), total
        if status.startswith(_BEFORE):
            self.downloaded = 0  # a download that failed begins anew
        elif status == "Downloading" and total:
            self.size, self.downloaded = total, self.current
        elif status in _DOWNLOADED:
            self.size = self.size or total
            self.downloaded = self.size
            if not total:
                self.current = self.total = self.size


class PullProgress:
    """One pull. Instants are those of one clock, in seconds.

    The whole is measured in bytes to download. A layer whose size is not known yet counts as much as the others do on
    average, for without them the first small layer would seem to be all there is.
    """

    def __init__(self) -> None:
        self._layers: dict[str, _Layer] = {}
        self._overall = 0
        self._speeds: deque[float] = deque(maxlen=_SAMPLES)
        self._sampled_s: float | None = None
        self._sampled_bytes = 0
        self._sent_s: float | None = None
        self._sent_overall = 0
        self._news = self._completion = self._done = False

    def feed(self, line: Json, at_s: float) -> None:
        """Takes one object of the stream of `POST /images/create`. What it does not understand is passed over."""
        status, layer_id = line.get("status"), line.get("id")
        if not isinstance(status, str):
            return
        if status.startswith("Status: "):  # its last line: "Status: Downloaded newer image for …"
            self._done = self._news = self._completion = True
        elif isinstance(layer_id, str) and layer_id and not status.startswith("Pulling from"):
            self._feed_layer(layer_id, status, line.get("progressDetail"))
        else:
            return
        self._overall = max(self._overall, self._measured())
        self._sample(at_s)

    def due(self, at_s: float) -> bool:
        """Tells whether there is something to send: every half second, after 5 points, or when a layer is complete."""
        if not self._news:
            return False
        if self._sent_s is None or self._completion:
            return True
        return (
            at_s - self._sent_s >= DUE_EVERY_S or self._overall - self._sent_overall >= DUE_POINTS
        )

    def payload(self, container_id: str, at_s: float) -> Json:
        """The payload of an `update_layer_progress` event, which counts as sent. `container_id` has 12 characters."""
        self._sample(at_s)
        self._sent_s, self._sent_overall = at_s, self._overall
        self._news = self._completion = False
        shown = sorted(self._layers.values(), key=lambda layer: layer.place)[:MAX_LAYERS]
        return {
            "container_id": container_id,
            "overall_progress": self._overall,
            "layers": [
                {
                    "id": layer.id[:12],
                    "status": layer.status[:64],
                    "current": layer.current,
                    "total": layer.total,
                    "percent": layer.percent,
                }
                for layer in shown
            ],
            "total_layers": len(self._layers),
            "remaining_layers": len(self._layers) - len(shown),
            "summary": self._summary(),
            "speed_mbps": self._speed_mib_s(),
        }

    def _feed_layer(self, layer_id: str, status: str, detail: object) -> None:
        layer = self._layers.get(layer_id)
        if layer is None:
            if len(self._layers) >= _MAX_KNOWN:
                return
            layer = self._layers[layer_id] = _Layer(layer_id)
        self._news = True
        # A layer that was here before is no work done, and there may be dozens in one go.
        if status == "Pull complete" and not layer.is_complete:
            self._completion = True
        layer.take(status, *_progress_bytes(detail))

    def _measured(self) -> int:
        """In percent; 100 only once the engine says that it is done: what was downloaded is extracted next."""
        if self._done:
            return 100
        layers = self._layers.values()
        sizes = [layer.size for layer in layers if layer.size]
        if not sizes:
            return 0
        unknown = sum(not layer.size and not layer.is_complete for layer in layers)
        downloaded = sum(layer.downloaded for layer in layers)
        return min(99, 100 * downloaded * len(sizes) // (sum(sizes) * (len(sizes) + unknown)))

    def _sample(self, at_s: float) -> None:
        downloaded = sum(layer.downloaded for layer in self._layers.values())
        if self._sampled_s is not None:
            elapsed_s = at_s - self._sampled_s
            if elapsed_s < _SAMPLE_S:
                return
            self._speeds.append(max(0, downloaded - self._sampled_bytes) / elapsed_s / _MIB)
        self._sampled_s, self._sampled_bytes = at_s, downloaded

    def _speed_mib_s(self) -> float:
        return round(sum(self._speeds) / len(self._speeds), 2) if self._speeds else 0.0

    def _summary(self) -> str:
        """All that users see of an update's stage, so it names it."""
        layers = self._layers.values()
        if self._done:
            return "Pulling: complete"
        if not layers:
            return "Pulling"
        complete = sum(layer.is_complete for layer in layers)
        text = f"Pulling: {complete} of {len(layers)} layers complete"
        if any(layer.status == "Downloading" for layer in layers):
            return f"{text}, {self._speed_mib_s():.1f} MiB/s"
        return f"{text}, extracting" if any(x.status == "Extracting" for x in layers) else text


def _progress_bytes(detail: object) -> tuple[int, int]:
    """Current and total, both 0 unless both are known. An engine with containerd's store counts seconds instead."""
    if not isinstance(detail, dict) or detail.get("units"):
        return 0, 0
    current, total = detail.get("current"), detail.get("total")
    if type(current) is not int or type(total) is not int or current < 0 or total <= 0:
        return 0, 0
    return current, total
