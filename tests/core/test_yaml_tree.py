"""YAML as plain trees, whoever wrote it."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.yaml_tree import MAX_DEPTH, Node, NotYaml, yaml_tree


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("", ""),
        ("# nothing", ""),
        ("a", "a"),
        ("a: 1\nb: [x, 'y', null]\nc:\n  - {d: ~}\n", {"a": "1", "b": ["x", "y", "null"], "c": [{"d": "~"}]}),
        ("a: on\nb: 010\nc: 2031-05-04", {"a": "on", "b": "010", "c": "2031-05-04"}),
        ("a:\nb: |\n  two\n  lines\n", {"a": "", "b": "two\nlines\n"}),
        ("a: 1\na: 2", {"a": "2"}),
        ("? [x]\n: 1\nb: 2", {"b": "2"}),
        ("a: !reset null\nb: !!python/object:os.system x", {"a": "null", "b": "x"}),
        ("a: &x {b: 1}\nc: *x\nd: {<<: *x}", {"a": {"b": "1"}, "c": {"b": "1"}, "d": {"<<": {"b": "1"}}}),
        ("a: 1\n---\nb: 2", {"a": "1"}),
        ("\ufeffa: 1", {"a": "1"}),
    ],
)  # fmt: skip
def test_a_tree(text: str, tree: Node) -> None:
    """Scalars stay texts, tags mean nothing, the first document counts."""
    assert yaml_tree(text) == tree


def test_an_alias_is_what_it_stands_for() -> None:
    """It is not copied, so that a few lines cannot fill the memory."""
    lines = ["a0: &a0 [x, x]"]
    lines += [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60)]
    tree = yaml_tree("\n".join(lines))
    assert isinstance(tree, dict)
    last, before = tree["a59"], tree["a58"]
    assert isinstance(last, list)
    assert last[0] is last[1] is before


def test_an_alias_within_itself() -> None:
    """A cycle ends."""
    tree = yaml_tree("&a [*a]")
    assert isinstance(tree, list)
    assert tree[0] is tree


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: [secret]]", "not YAML at line 1"),
        ("a: 1\n b: secret", "not YAML at line 2"),
        ("a: \x01", "not YAML"),
        ("\ud800", "not YAML"),
        ("[" * 1_000_000, f"nested more than {MAX_DEPTH} deep"),
        ("{a: " * 100_000, f"nested more than {MAX_DEPTH} deep"),
        ("- " * 100_000, f"nested more than {MAX_DEPTH} deep"),
        ("? " * 100_000, f"nested more than {MAX_DEPTH} deep"),
    ],
)
def test_what_cannot_be_read(text: str, reason: str) -> None:
    """It is said where, and nothing of the text is repeated."""
    with pytest.raises(NotYaml) as unread:
        yaml_tree(text)
    assert str(unread.value) == reason


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    """Nothing else is raised."""
    with contextlib.suppress(NotYaml):
        assert isinstance(yaml_tree(text), str | list | dict)


TREES = st.recursive(
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E)),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("abc<", min_size=1), inner),
    max_leaves=20,
)


@given(TREES)
def test_json_is_yaml(tree: Node) -> None:
    """What is written as JSON is read as it was."""
    assert yaml_tree(json.dumps(tree)) == tree
