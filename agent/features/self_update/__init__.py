"""The `self_update` command, and `update_container` where it means our own: another release takes over."""

from agent.features.self_update.command import begin, self_update
from agent.features.self_update.tools import UpdateTools
from agent.features.self_update.updates import SelfUpdates

__all__ = ["SelfUpdates", "UpdateTools", "begin", "self_update"]
