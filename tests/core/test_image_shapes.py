"""Images as the server wants them, whatever the engine says."""

from __future__ import annotations

from typing import Any

import pytest

from agent.core.image_shapes import image_list, removed_images
from agent.core.usage import Usage

PAPER = {
    "Id": "sha256:" + "1f" * 32,
    "RepoTags": ["paper:2.4", "paper:latest"],
    "Size": 123,
    "Created": 1893456000,
}


def test_an_image_in_use() -> None:
    """The ID is cut and has no algorithm; every container of the image is named."""
    web = {"id": "a" * 12, "name": "web"}
    assert image_list([PAPER], Usage(images={PAPER["Id"]: [web]})) == [  # type: ignore[dict-item]
        {
            "id": "1f" * 6,
            "tags": ["paper:2.4", "paper:latest"],
            "size": 123,
            "created": "2030-01-01T00:00:00Z",
            "in_use": True,
            "container_count": 1,
            "containers": [web],
            "dangling": False,
        }
    ]


@pytest.mark.parametrize("tags", [None, [], ["<none>:<none>"], "paper", [7]])
def test_an_image_without_a_tag(tags: object) -> None:
    """However an engine says that there is no tag, the list is empty and the image dangles."""
    (shown,) = image_list([{**PAPER, "RepoTags": tags}], Usage())
    assert (shown["tags"], shown["dangling"], shown["in_use"]) == ([], True, False)


def test_the_newest_first() -> None:
    """Sorted by when they were made; one that does not say is the oldest."""
    made: list[dict[str, Any]] = [
        {"Id": f"sha256:{n}", "Created": at} for n, at in enumerate((5, None, 9, 7))
    ]
    assert [image["id"] for image in image_list(made, Usage())] == ["2", "3", "0", "1"]


@pytest.mark.parametrize("odd", [{}, {"Id": None}, {"Id": ""}])
def test_what_has_no_id_is_no_image(odd: dict[str, Any]) -> None:
    """There is nothing that could be done with it."""
    assert image_list([odd], Usage()) == []


@pytest.mark.parametrize(
    ("answer", "count", "size_bytes"),
    [
        ({"ImagesDeleted": None, "SpaceReclaimed": 0}, 0, 0),
        ({}, 0, 0),
        (
            {
                "ImagesDeleted": [
                    {"Untagged": "paper:2.4"},
                    {"Untagged": "paper@sha256:77"},
                    {"Deleted": "sha256:1f"},
                    {"Deleted": "sha256:2f"},
                    None,
                ],
                "SpaceReclaimed": 5000,
            },
            2,
            5000,
        ),
        ({"ImagesDeleted": {}, "SpaceReclaimed": 12.5}, 0, 0),
    ],
)
def test_what_was_pruned(answer: dict[str, Any], count: int, size_bytes: int) -> None:
    """Deleted images count, their tags do not; both figures are whole numbers."""
    assert removed_images(answer) == {"removed_count": count, "space_reclaimed": size_bytes}
