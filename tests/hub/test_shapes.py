"""Which payloads the server can read."""

from __future__ import annotations

from typing import Any

import pytest

from agent.hub.shapes import (
    ContainerEventShape,
    DeployComplete,
    DeployProgress,
    Dropped,
    ErrorMessage,
    HealthResult,
    HostFigures,
    LayerProgress,
    Sample,
    Shape,
    ShellData,
    UpdateComplete,
    UpdateProgress,
    read,
)

ID = "9ab3c1d2e4f5"
LAYER = {"id": ID, "status": "Downloading", "current": 1, "total": 2, "percent": 50}
GOOD: dict[type[Shape], dict[str, Any]] = {
    ContainerEventShape: {"container_id": ID, "container_name": "web", "action": "start"},
    Sample: {
        "container_id": ID,
        "container_name": "web",
        "cpu_percent": 7.4,
        "memory_usage": 1,
        "memory_limit": 2,
        "memory_percent": 50,
        "network_rx": 3,
        "network_tx": 4,
        "disk_read": 5,
        "disk_write": 2**64 - 1,
    },
    HostFigures: {"cpu_percent": 12.5, "mem_percent": 48, "net_bytes_per_sec": 0.0},
    HealthResult: {"container_id": ID, "healthy": True, "response_time_ms": 41},
    UpdateProgress: {"container_id": ID, "stage": "backup", "message": "Renaming"},
    LayerProgress: {
        "container_id": ID,
        "overall_progress": 100,
        "layers": [LAYER],
        "total_layers": 3,
        "remaining_layers": 2,
        "summary": "x",
        "speed_mbps": 1.5,
    },
    UpdateComplete: {"old_container_id": ID, "new_container_id": ID, "container_name": "web"},
    DeployProgress: {"deployment_id": "x", "stage": "anything", "message": ""},
    DeployComplete: {"deployment_id": "x", "success": True},
    ShellData: {"session_id": "x", "action": "started"},
    ErrorMessage: {"error": "the engine is gone"},
}


@pytest.mark.parametrize("shape", GOOD, ids=lambda shape: shape.__name__)
def test_the_least_that_can_be_read(shape: type[Shape]) -> None:
    """More keys do no harm."""
    read(shape, {**GOOD[shape], "something": "else"})


@pytest.mark.parametrize(
    ("shape", "wrong", "text"),
    [
        (ContainerEventShape, {"container_id": "9ab3"}, "container_id"),
        (ContainerEventShape, {"container_name": "/web"}, "container_name"),
        (ContainerEventShape, {"attributes": {"exitCode": 0}}, "attributes.exitCode"),
        (ContainerEventShape, {"old_state": "running"}, "the server's own: old_state"),
        (Sample, {"memory_usage": 12.0}, "memory_usage"),
        (Sample, {"network_rx": -1}, "network_rx"),
        (Sample, {"network_tx": "1"}, "network_tx"),
        (Sample, {"disk_read": True}, "disk_read"),
        (Sample, {"disk_write": 2**64}, "disk_write"),
        (Sample, {"cpu_percent": float("inf")}, "cpu_percent"),
        (Sample, {"cpu_percent": None}, "cpu_percent"),
        (HostFigures, {"mem_percent": "48"}, "mem_percent"),
        (HealthResult, {"response_time_ms": 41.2}, "response_time_ms"),
        (HealthResult, {"healthy": "yes"}, "healthy"),
        (UpdateProgress, {"stage": "thinking"}, "stage"),
        (LayerProgress, {"overall_progress": 101}, "overall_progress"),
        (LayerProgress, {"layers": [LAYER] * 21, "total_layers": 23}, "layers"),
        (LayerProgress, {"total_layers": 4}, "do not add up"),
        (LayerProgress, {"layers": [{**LAYER, "id": ID * 2}]}, "layers.0.id"),
        (LayerProgress, {"layers": [{**LAYER, "percent": 1.5}]}, "layers.0.percent"),
        (UpdateComplete, {"failed_dependents": None}, "failed_dependents"),
        (DeployProgress, {"services": [{"name": "web"}]}, "services.0.status"),
        (DeployComplete, {"services": None}, "services"),
        (DeployComplete, {"error": {"code": 1}}, "error"),
        (DeployComplete, {"action": "pause"}, "action"),
        (ShellData, {"action": "opened"}, "action"),
        (ErrorMessage, {"error": ""}, "error"),
    ],
)
def test_what_cannot_be_read(shape: type[Shape], wrong: dict[str, Any], text: str) -> None:
    """Types are exact, and the text names the field."""
    with pytest.raises(Dropped, match=text):
        read(shape, {**GOOD[shape], **wrong})


def test_what_is_no_object() -> None:
    """Then all of it is wrong."""
    with pytest.raises(Dropped, match=r"^all of it: "):
        read(Sample, [])


def test_ids_are_cut() -> None:
    """Twelve characters of them count."""
    long = read(UpdateComplete, {**GOOD[UpdateComplete], "new_container_id": ID + "f" * 52})
    assert long.new_container_id == ID
