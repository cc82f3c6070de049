"""What the server asks for when it deploys a project, checked before anything of it is used."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

COMPOSE_FILE = "docker-compose.yml"
ENV_FILE = ".env"

MAX_FILE_BYTES = 1024 * 1024
MAX_ENV_FILES = 100
_MAX_NAME_BYTES = 200  # a file system takes 255, and a name of ours is made of it

HEALTH_TIMEOUT_S, MAX_HEALTH_TIMEOUT_S = 60, 1200


def _instead_of_null(default: Any) -> BeforeValidator:
    return BeforeValidator(lambda value: default if value is None else value)


def _file_name(name: str) -> str:
    """A bare name, so that it cannot lead out of the stack's directory."""
    if name in ("", ".", "..") or "/" in name or "\\" in name or not name.isprintable():
        raise ValueError("an env file is named by a plain file name, without a directory")
    if len(name.encode(errors="replace")) > _MAX_NAME_BYTES:
        raise ValueError(f"the name of an env file has at most {_MAX_NAME_BYTES} bytes")
    if name == COMPOSE_FILE:
        raise ValueError(f"{COMPOSE_FILE} is the compose file, not an env file")
    return name


def _content(text: str) -> str:
    if len(text.encode(errors="replace")) > MAX_FILE_BYTES:
        raise ValueError("is larger than 1 MiB")
    if "\0" in text:
        raise ValueError("holds a NUL, which no text file has")
    return text


FileName = Annotated[str, AfterValidator(_file_name)]
Content = Annotated[str, AfterValidator(_content)]
Profile = Annotated[str, Field(pattern=r"^[A-Za-z0-9*][A-Za-z0-9_.*-]*$", max_length=100)]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, hide_input_in_errors=True)


class RegistryCredential(_Strict):
    """One that the server stores; "" and Docker Hub's names in `registry_url` mean Docker Hub."""

    registry_url: Annotated[str, _instead_of_null("")] = ""
    username: Annotated[str, _instead_of_null("")] = ""
    password: Annotated[str, _instead_of_null("")] = Field("", repr=False)


class DeployRequest(_Strict):
    """The payload of `deploy_compose`. Whatever may be left out may be null as well.

    Attributes:
        deployment_id: The server's own name for this deployment, echoed and otherwise opaque.
        env_files: Content by name. If there are any, `env_file_content` counts for nothing.
        remove_volumes: For `down`: the stack's directory goes too.
        health_timeout: In seconds, above zero.
    """

    deployment_id: str = Field(min_length=1, max_length=255)
    project_name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=_MAX_NAME_BYTES)
    compose_content: Content = Field(min_length=1, repr=False)
    env_file_content: Annotated[Content, _instead_of_null("")] = Field("", repr=False)
    env_files: Annotated[dict[FileName, Content], _instead_of_null({})] = Field(
        {}, repr=False, max_length=MAX_ENV_FILES
    )
    action: Annotated[Literal["up", "down", "restart"], _instead_of_null("up")] = "up"
    remove_volumes: Annotated[bool, _instead_of_null(False)] = False
    profiles: Annotated[list[Profile], _instead_of_null([])] = Field([], max_length=100)
    force_recreate: Annotated[bool, _instead_of_null(False)] = False
    pull_images: Annotated[bool, _instead_of_null(False)] = False
    wait_for_healthy: Annotated[bool, _instead_of_null(False)] = False
    health_timeout: Annotated[int, _instead_of_null(0)] = 0
    registry_credentials: Annotated[list[RegistryCredential], _instead_of_null([])] = Field(
        [], repr=False, max_length=1000
    )

    @property
    def files(self) -> dict[str, str | None]:
        """The stack's files by name; None is one that must not be there."""
        files: dict[str, str | None] = {COMPOSE_FILE: self.compose_content}
        if self.env_files:
            return files | self.env_files
        return files | {ENV_FILE: self.env_file_content or None}

    @property
    def health_timeout_s(self) -> float:
        """How long to wait for healthy services, within what a deployment may take."""
        wanted_s = self.health_timeout if self.health_timeout > 0 else HEALTH_TIMEOUT_S
        return float(min(wanted_s, MAX_HEALTH_TIMEOUT_S))
