"""Everything before the acknowledgement: is the project sound, and how is it to be deployed from here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from agent.core.compose import document as documents
from agent.core.compose.credentials import needed
from agent.core.compose.document import HostPaths, UnusableStack
from agent.core.compose.request import COMPOSE_FILE, DeployRequest
from agent.ports import Json, RegistryAuth
from agent.ports.compose import Compose, ComposeError, Project, Stacks

CONFIG_S = 60.0


@dataclass(frozen=True, slots=True)
class Read:
    """A project as Compose understands it, read in the directory `staged`."""

    document: Json
    staged: str

    @property
    def images(self) -> dict[str, str]:
        """By service."""
        return documents.images(self.document)

    @property
    def container_names(self) -> dict[str, str]:
        """The service of each container that the project names itself."""
        return documents.container_names(self.document)


async def read(request: DeployRequest, compose: Compose, stacks: Stacks) -> Read:
    """Stages the files and has Compose read them.

    Raises:
        UnusableStack: They are no project that can be deployed.
        StoreError: They cannot be written.
    """
    name = request.project_name
    staged = await stacks.stage(name, request.files)
    project = Project(name, staged, f"{staged}/{COMPOSE_FILE}", profiles=request.profiles)
    try:
        document = await compose.config(project, deadline_s=CONFIG_S)
    except ComposeError as error:
        # Where the files are for the moment is nothing to the user.
        raise UnusableStack(str(error).replace(f"{staged}/", "")) from error
    if built := documents.built(document):
        raise UnusableStack(
            f"service {built[0]} is built from source, which is not supported: build its image "
            "on the host or elsewhere, and name it with `image:`"
        )
    if not documents.images(document):
        raise UnusableStack("no service would run: the project has none for these profiles")
    return Read(document, staged)


def deployable(request: DeployRequest, found: Read, stacks: Stacks, hosts: HostPaths) -> Project:
    """What Compose is to bring up: the project as it will be stored, for then its labels lead to the file.

    Only where the host has the files elsewhere, it is the resolved project with the host's own paths.

    Raises:
        UnusableStack: The host does not have what the project mounts.
    """
    name, stored = request.project_name, stacks.place(request.project_name)

    def located(hosts: HostPaths) -> Json:
        return documents.located(found.document, staged=found.staged, stored=stored, hosts=hosts)

    document = located(hosts)
    if document == located(HostPaths(stacks.directory)):
        return Project(name, stored, f"{stored}/{COMPOSE_FILE}", profiles=request.profiles)
    # What was not active is not in the document any more.
    return Project(name, hosts.of(stored) or stored, document=document, profiles=("*",))


def credentials(request: DeployRequest, found: Read) -> Mapping[str, RegistryAuth]:
    """Those that the project's images may need, by the registry's name in Docker's configuration."""
    return {
        key: RegistryAuth(each.username, each.password, key)
        for key, each in needed(request.registry_credentials, found.images.values()).items()
    }
