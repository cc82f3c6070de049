"""What the server sends with `update_container`."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr

STOP_S, HEALTH_S = 30, 120
"""Where the server says nothing, or 0."""

MAX_STOP_S = 180
"""The server waits 300 s for the whole: what may take longer to stop than this cannot be updated in that time."""

Seconds = Annotated[int, Field(ge=0, le=3600)]


class Credentials(BaseModel):
    """For the registry that the image comes from."""

    model_config = ConfigDict(frozen=True)

    username: str = ""
    password: SecretStr = SecretStr("")


class Payload(BaseModel):
    """A container by ID or name, and the reference of its new image. Times are in seconds."""

    model_config = ConfigDict(frozen=True)

    container_id: str = Field(min_length=12, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    new_image: str = Field(max_length=500)
    stop_timeout: Seconds | None = None
    health_timeout: Seconds | None = None
    registry_auth: Credentials | None = None

    @property
    def stop_timeout_s(self) -> int:
        return self.stop_timeout or STOP_S

    @property
    def health_timeout_s(self) -> int:
        return self.health_timeout or HEALTH_S
