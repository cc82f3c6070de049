"""What somebody at the UI sees of a request that failed."""

from __future__ import annotations

import pytest

from agent.hub.answers import Answer, failure
from agent.hub.replies import RequestFailed


@pytest.mark.parametrize(
    ("name", "text", "status"),
    [
        ("create_network", "unknown command: create_network", 501),
        ("create_network", "network with name web already exists", 409),
        ("create_network", "Unknown Command; it already exists", 501),
        ("create_network", "invalid subnet", 500),
        ("delete_network", "bridge is a built-in network", 400),
        ("delete_network", "Cannot delete it", 400),
        ("delete_network", "cannot delete: in use", 400),
        ("delete_network", "it has 2 connected containers", 409),
        ("delete_network", "the network is IN USE", 409),
        ("delete_network", "in use by what was not found", 409),
        ("delete_network", "network 4f1c not found", 404),
        ("delete_network", "no such network", 500),
        ("delete_volume", "volume is in use", 409),
        ("delete_volume", "volume is being used", 409),
        ("delete_volume", "volume data not found", 404),
        ("delete_volume", "no such volume: data", 500),
        ("remove_image", "image is in use", 500),
    ],
)
def test_words_in_an_error(name: str, text: str, status: int) -> None:
    """The first that is found counts, in any case; the text is shown as it is."""
    assert failure(name, RequestFailed(text, "agent_error")) == Answer(status, detail=text)


@pytest.mark.parametrize(
    ("name", "status"), [("list_images", 504), ("stop", 504), ("list_volumes", 500)]
)
def test_no_answer_in_time(name: str, status: int) -> None:
    """It is told from other failures, but for volumes."""
    answer = failure(name, RequestFailed("Command timed out after 30 s", "timeout"))
    assert (answer.status, answer.ok) == (status, False)
