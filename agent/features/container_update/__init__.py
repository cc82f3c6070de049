"""The `update_container` command: a container gets a new image and stays what it is otherwise."""

from agent.features.container_update.updates import ContainerUpdates

__all__ = ["ContainerUpdates"]
