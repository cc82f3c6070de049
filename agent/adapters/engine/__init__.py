"""The Docker engine, behind the `Engine` port. Importing this imports the `docker` package."""

from agent.adapters.engine import lean_requests  # first: before anything else loads it
from agent.adapters.engine.client import DockerEngine
from agent.adapters.engine.endpoint import Endpoint, EndpointError

__all__ = ["DockerEngine", "Endpoint", "EndpointError", "lean_requests"]
