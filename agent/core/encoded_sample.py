"""A sample as it goes over both sockets: in an envelope over the one, by itself over the other, encoded once."""

from __future__ import annotations

from typing import Any, NamedTuple

from agent.core.replies import encode_own

Json = dict[str, Any]


class EncodedSample(NamedTuple):
    """The payload of a `container_stats` event, and the same as JSON."""

    payload: Json
    encoded: bytes

    @property
    def container_id(self) -> str:
        return str(self.payload["container_id"])


def encode_sample(payload: Json) -> EncodedSample:
    return EncodedSample(payload, encode_own(payload))
