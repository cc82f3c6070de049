"""What of a container's `Config` its operator asked for: the engine mixed it with what the image brings along."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

Json = dict[str, Any]


def operator_config(config: Json, image: Json, *, published: Collection[str]) -> Json:
    """`config` without what is equal in the image, so that another image's own takes its place.

    These are the fields that the engine inherits when it creates a container; it takes all others from nobody but the
    operator. What the operator set to the very value that the image has cannot be told from what the image brought.

    Args:
        config: `Config` of the container.
        image: `Config` of the image it was made from; empty if that is gone, and then all counts as the operator's.
        published: Ports such as "80/tcp" that are bound on the host. They stay exposed whatever the images say, for the
            engine binds no others.
    """
    own = dict(config)
    for key in ("User", "WorkingDir", "StopSignal"):
        if key in own and own[key] == image.get(key):
            del own[key]
    for key in ("Labels", "Volumes", "Healthcheck"):
        if own.get(key):
            own[key] = _different(own[key], image.get(key) or {})
    own["ExposedPorts"] = {
        port: exposed
        for port, exposed in (own.get("ExposedPorts") or {}).items()
        if port in published or port not in (image.get("ExposedPorts") or {})
    }
    inherited = frozenset(image.get("Env") or ())
    own["Env"] = [entry for entry in own.get("Env") or () if entry not in inherited]
    _leave_command_to_image(own, image)
    return own


def _different(own: Json, image: Json) -> Json | None:
    return {
        key: value for key, value in own.items() if key not in image or image[key] != value
    } or None


def _leave_command_to_image(own: Json, image: Json) -> None:
    entrypoint, images_entrypoint = own.get("Entrypoint") or [], image.get("Entrypoint") or []
    command, images_command = own.get("Cmd") or [], image.get("Cmd") or []
    if entrypoint != images_entrypoint:
        # The operator's own. With one the engine does not look at the image's command, so this one is the operator's
        # too, even if it is the same or none. One empty text is how `--entrypoint ""` takes the image's away.
        own["Entrypoint"] = entrypoint or [""]
    elif command or not images_command:
        own.pop("Entrypoint", None)
        if command == images_command:
            own.pop("Cmd", None)
    # Else the image's command was kept off, which takes an Entrypoint of the operator's: this one, equal by chance.
