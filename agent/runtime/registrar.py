"""How the lifecycle gets in: what is worth a try, the attempt, and the two kinds of waiting."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from agent.core import refusals
from agent.core.failures import Failure, FailureKind, Refusal
from agent.core.identity import Identity
from agent.core.lifecycle import (
    AttemptFailed,
    CredentialsChanged,
    EngineKnown,
    Reason,
    Refused,
    Registered,
    RetryDue,
    ServerSilent,
)
from agent.core.machine import Event
from agent.core.refusals import Remedy
from agent.core.registration import (
    Accepted,
    Declined,
    HostFacts,
    Nonsense,
    Token,
    hostname,
    read_answer,
    register,
    tokens,
)
from agent.core.replies import encode
from agent.ports import DialFailed, EngineFacts, Host, Store, StoreError
from agent.runtime.dispatcher import Dispatcher
from agent.runtime.engine_status import EngineStatus
from agent.runtime.session import NoAnswer, Session

LOOK_EVERY_S = 10.0
"""How soon a token put into a file is noticed."""

ENGINE_PATIENCE_S = 5.0
"""An engine that is up answers in milliseconds; one that is not must not keep a known agent from registering."""

SILENT_AFTER_S = 300.0
"""The server asks for the containers every few seconds. If it does not for this long, it has forgotten us."""

KEEP_EVERY_S = 60.0
"""An identity that could not be written costs a new token at the next restart: a disk may be freed before that."""

MAX_FIELDS_LEFT_OUT = 5

log = logging.getLogger("agent.registration")


class Credentials(Protocol):
    """The tokens an operator gave, as they are now."""

    @property
    def registration_token(self) -> str | None: ...

    @property
    def permanent_token(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Presentation:
    """What an operator or a release decides of what we say of ourselves."""

    version: str
    proto_version: str
    agent_name: str = ""
    force_unique: bool = False


class Registrar:
    """The lifecycle's activities `await_reason`, `register`, `stay` and `await_retry`.

    Args:
        capabilities: What we can do, given what is known of the engine.
        credentials: Reads the operator's tokens anew.
        learn: Told each secret before it is used, so that no log ever shows it.
        welcomed: Told the identity after each successful registration.
    """

    def __init__(
        self,
        session: Session,
        store: Store,
        status: EngineStatus,
        host: Host,
        dispatcher: Dispatcher,
        presentation: Presentation,
        *,
        capabilities: Callable[[EngineFacts | None], Mapping[str, bool]],
        credentials: Callable[[], Credentials],
        learn: Callable[[str], None],
        welcomed: Callable[[Identity], None],
    ) -> None:
        self._session, self._store, self._status, self._host = session, store, status, host
        self._dispatcher, self._presentation = dispatcher, presentation
        self._capabilities = capabilities
        self._credentials, self._learn, self._welcomed = credentials, learn, welcomed
        self._left_out: set[str] = set()
        self._tried: list[str] = []  # token values, at the last attempt
        self._unkept: Identity | None = None  # what the server gave us and the store did not take

    # Waiting

    async def await_reason(self, reason: Reason) -> Event:
        if reason.refusal is not None:
            return await self._await_change(reason)
        try:
            identity = await self._identity()
        except StoreError:
            return EngineKnown()  # the attempt meets it too, and says so
        if not identity.engine_id:
            await self._status.known()
        told = False
        while not self._tokens(identity):
            if not told:
                log.warning("there is no token: set REGISTRATION_TOKEN, or write it to its file")
                told = True
            await asyncio.sleep(LOOK_EVERY_S)
        return EngineKnown()

    async def _await_change(self, reason: Reason) -> Event:
        # Compared with what was tried, not with what is there now: a token may have changed since.
        try:
            async with asyncio.timeout(reason.retry_in_s):
                while await self._is_as_tried():
                    await asyncio.sleep(LOOK_EVERY_S)
        except TimeoutError:
            return RetryDue()
        return CredentialsChanged()

    async def await_retry(self, delay_s: float) -> Event:
        await asyncio.sleep(delay_s)
        return RetryDue()

    async def stay(self, _: object) -> Event:
        loop = asyncio.get_running_loop()
        while (silent_s := loop.time() - self._dispatcher.last_asked_s) < SILENT_AFTER_S:
            await asyncio.sleep(min(KEEP_EVERY_S, SILENT_AFTER_S - silent_s))
            await self._keep()
        return ServerSilent(self._session.lasted_s)

    # Registering

    async def register(self, _: object) -> Event:
        try:
            identity = await self._identity()
        except StoreError as error:
            return AttemptFailed(Failure(FailureKind.DATA_DIR, str(error)))
        candidates = self._tokens(identity)
        self._tried = [token.value for token in candidates]
        if not candidates:
            return Refused(Refusal("there is no token", True, refusals.NEW_TOKEN))
        if not identity.engine_id:
            await self._status.known()  # bounded by the deadline of this activity
        elif self._status.facts is None:
            await self._a_moment_for_the_engine()
        refusal = Refusal("no token was tried", permanent=True)
        for token in candidates:
            self._learn(token.value)
            answer = await self._try(token, identity)
            if not isinstance(answer, Refusal):
                return answer
            log.info("%s was refused: %s", token.origin, answer.text)
            refusal = answer
        return Refused(refusal)

    async def _try(self, token: Token, identity: Identity) -> Event | Refusal:
        """One token. A `Refusal` means: not this one, but perhaps another."""
        if token.single_use:
            try:
                await self._store.prove_writable()
            except StoreError as error:
                text = (
                    f"the registration token is not spent while the result cannot be kept: {error}"
                )
                return AttemptFailed(Failure(FailureKind.DATA_DIR, text))
        while True:
            facts = self._facts(identity, fresh=token.single_use)
            accepted_hostname = "" if token.single_use else identity.hostname
            try:
                answer = await self._ask(token, facts, accepted_hostname)
            except (DialFailed, NoAnswer) as failed:
                return AttemptFailed(failed.failure)
            match answer:
                case Accepted():
                    return await self._settle(identity, answer, facts)
                case Nonsense(reason):
                    failure = Failure(FailureKind.HANDSHAKE, reason, refusals.NOT_DOCKMON)
                    return AttemptFailed(failure)
                case Declined(words):
                    verdict = refusals.judge(words)
                    match verdict.remedy:
                        case Remedy.LEAVE_OUT_FIELD if self._leave_out(verdict.field):
                            log.warning("the server refuses the value of %s", verdict.field)
                        case Remedy.OTHER_TOKEN:
                            return verdict.refusal
                        case Remedy.WAIT:
                            failure = Failure(FailureKind.REFUSAL, words, verdict.refusal.advice)
                            return AttemptFailed(failure)
                        case _:
                            return Refused(verdict.refusal)

    async def _ask(
        self, token: Token, facts: HostFacts, accepted_hostname: str
    ) -> Accepted | Declined | Nonsense:
        me = self._presentation
        message = register(
            token.value,
            facts,
            version=me.version,
            proto_version=me.proto_version,
            capabilities=self._capabilities(self._status.facts),
            force_unique=me.force_unique,
            accepted_hostname=accepted_hostname,
            leave_out=self._left_out,
        )
        return read_answer(await self._session.ask(encode(message)))

    async def _settle(self, before: Identity, answer: Accepted, facts: HostFacts) -> Event:
        token = answer.permanent_token
        self._learn(token)
        identity = Identity(token, token, answer.host_id, facts.engine_id, facts.hostname)
        # First what is for the old record: whoever dies in between finds the old identity and does it again.
        if before.host_id not in ("", answer.host_id):
            await self._let_go_of_events()
        if identity != before:
            self._unkept = identity
        await self._keep()
        self._session.go_live()
        self._welcomed(identity)
        return Registered(answer.host_id, token)

    async def _let_go_of_events(self) -> None:
        try:
            count = await self._store.adopt()
        except StoreError as error:
            log.error("events for another host record cannot be let go: %s", error)
        else:
            log.warning("this is another host record; %d events for the old one go", count)

    # Who we are

    async def _identity(self) -> Identity:
        return self._unkept or await self._store.identity()

    async def _keep(self) -> None:
        if self._unkept is None:
            return
        try:
            await self._store.save_identity(self._unkept)
        except StoreError as error:
            log.error("the identity cannot be kept, a restart will need a new token: %s", error)
        else:
            self._unkept = None

    async def _is_as_tried(self) -> bool:
        try:
            tokens = self._tokens(await self._identity())
        except StoreError:
            return True  # what cannot be read has not changed for the better
        return [token.value for token in tokens] == self._tried

    # What to say

    def _facts(self, identity: Identity, *, fresh: bool) -> HostFacts:
        """`fresh`: as a new host, with the engine's own ID instead of the one we were registered with."""
        engine = self._status.facts or EngineFacts(identity.engine_id)
        engine_id = engine.engine_id if fresh or not identity.engine_id else identity.engine_id
        look = self._host.look(container_subnets=engine.subnets)
        name, source = hostname(self._presentation.agent_name, engine.name, look.name, engine_id)
        if self._status.facts is None and not self._presentation.agent_name and identity.hostname:
            name = identity.hostname  # the engine is down, and it is the one that knows our name
        return HostFacts(
            engine_id=engine_id,
            hostname=name,
            hostname_source=source,
            os_type=engine.os_type,
            os_version=engine.operating_system,
            kernel_version=engine.kernel_version,
            docker_version=engine.version,
            daemon_started_at=engine.bridge_created_at,
            total_memory_bytes=engine.total_memory_bytes or 0,
            num_cpus=engine.num_cpus or 0,
            machine=look.machine,
            host_ips=look.addresses,
        )

    def _tokens(self, identity: Identity) -> list[Token]:
        given = self._credentials()
        return tokens(
            identity,
            permanent_token=given.permanent_token,
            registration_token=given.registration_token,
        )

    def _leave_out(self, field: str) -> bool:
        """Whether leaving `field` out is worth another try."""
        if field in self._left_out or len(self._left_out) >= MAX_FIELDS_LEFT_OUT:
            return False
        self._left_out.add(field)
        return True

    async def _a_moment_for_the_engine(self) -> None:
        try:
            async with asyncio.timeout(ENGINE_PATIENCE_S):
                await self._status.known()
        except TimeoutError:
            log.info("registering without facts about the engine: it does not answer")
