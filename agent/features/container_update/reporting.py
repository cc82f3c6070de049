"""What the server and its users are told of an update while it is under way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from agent.core.container_update import Update
from agent.core.pull_progress import PullProgress
from agent.features.telling import Teller
from agent.ports import Json

STARTED: Json = {"status": "update_started"}
"""The acknowledgement."""

_MESSAGES = {
    "pulling": "Pulling {new_image}",
    "configuring": "Reading the configuration of {name}",
    "backup": "Setting the old container aside",
    "creating": "Creating the new container",
    "starting": "Starting the new container",
    "health_check": "Waiting for the new container to be well",
    "dependents": "Recreating the containers that depend on it",
    "cleanup": "Removing the old container",
    "completed": "{name} has been updated to {new_image}",
    "rollback": "The update failed; putting the old container back",
    "failed": "The update failed",
}
"""By the stage's name on the wire, which is the chart's name of the state."""


class Reporter:
    def __init__(self, teller: Teller) -> None:
        self._teller = teller

    def stage(self, stage: str, update: Update, *, error: str = "") -> None:
        """Once for each. `error` is why it failed, for the last of them."""
        message = _MESSAGES[stage].format(name=update.name, new_image=update.new_image)
        payload: Json = {
            "container_id": update.container_id[:12],
            "stage": stage,
            "message": message,
        }
        self._teller.tell("update_progress", payload | ({"error": error} if error else {}))
        if stage != "pulling":
            # Users see nothing but the summary of the layers, so that is where stages are told as well.
            summary = f"{message}: {error}" if error else message
            self._teller.tell("update_layer_progress", _summary(update, summary))

    def pull(self, update: Update) -> Callable[[Json], None]:
        """Takes the lines of the engine's pull, and tells of them often enough for a progress bar."""
        progress = PullProgress()
        loop = asyncio.get_running_loop()

        def take(line: Json) -> None:
            progress.feed(line, loop.time())
            if progress.due(loop.time()):
                payload = progress.payload(update.container_id[:12], loop.time())
                self._teller.tell("update_layer_progress", payload)

        return take

    def failed(self, update: Update) -> None:
        """For the host's event log: the server itself will only say, minutes from now, that something failed."""
        details = update.reason
        if update.trouble:
            details += f"; the old container could not be put back: {update.trouble}"
        error = f"The update of {update.name} to {update.new_image} failed"
        self._teller.complain(error, details=details, container_id=update.container_id)

    def acknowledge(self, update: Update) -> None:
        """Once more, for an update that a process before us began: its reply may have died with it."""
        self._teller.answer(update.command_id, STARTED)

    def completed(self, payload: Json) -> None:
        """Only where the outbox cannot be written: this way it may be lost."""
        self._teller.tell("update_complete", payload)


def _summary(update: Update, text: str) -> Json:
    return {
        "container_id": update.container_id[:12],
        "overall_progress": 100,
        "layers": [],
        "total_layers": 0,
        "remaining_layers": 0,
        "summary": text,
        "speed_mbps": 0.0,
    }
