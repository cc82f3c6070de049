"""YAML of unknown origin, read as far as its shape.

Loaders make objects, follow each nesting with a call, and copy what is merged: a small file can exhaust them. Here the
parser's events become plain containers; an alias is the very object it stands for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

Node: TypeAlias = "str | list[Node] | dict[str, Node]"
"""Scalars are texts as they stand there, "" for nothing. Merge keys are left as they are; cycles are possible."""

MAX_DEPTH = 64
"""More than anybody writes."""


class NotYaml(Exception):
    """The text is no YAML, or nested too deeply. Nothing of it is repeated: it may hold secrets."""


def yaml_tree(text: str) -> Node:
    """The first document in `text`, "" if there is none.

    Raises:
        NotYaml: It cannot be read.
    """
    import yaml  # late: it takes a megabyte, and many agents never read a file

    tree = _Tree()
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        for event in yaml.parse(text, Loader=loader):
            if isinstance(event, yaml.DocumentEndEvent):
                break
            tree.take(event)
    except (yaml.YAMLError, UnicodeError) as error:
        if "nesting depth" in (getattr(error, "problem", None) or ""):
            raise _too_deep() from None  # the scanner's own limit, which it may meet before its events show ours
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark is not None else ""
        raise NotYaml(f"not YAML{where}") from None
    return tree.root


def _too_deep() -> NotYaml:
    return NotYaml(f"nested more than {MAX_DEPTH} deep")


@dataclass(slots=True)
class _Open:
    """A container that goes on; `key` is what the next node of a mapping belongs to."""

    node: list[Node] | dict[str, Node]
    key: Node | None = None


class _Tree:
    """What grows from the parser's events."""

    def __init__(self) -> None:
        self.root: Node = ""
        self._open: list[_Open] = []
        self._anchors: dict[str, Node] = {}

    def take(self, event: Any) -> None:
        match type(event).__name__:
            case "ScalarEvent":
                self._place(event.value, event.anchor)
            case "SequenceStartEvent":
                self._begin([], event.anchor)
            case "MappingStartEvent":
                self._begin({}, event.anchor)
            case "SequenceEndEvent" | "MappingEndEvent":
                self._open.pop()
            case "AliasEvent":
                self._place(self._anchors.get(event.anchor, ""), None)

    def _begin(self, node: list[Node] | dict[str, Node], anchor: str | None) -> None:
        if len(self._open) >= MAX_DEPTH:
            raise _too_deep()
        self._place(node, anchor)
        self._open.append(_Open(node))

    def _place(self, node: Node, anchor: str | None) -> None:
        if anchor is not None:
            self._anchors[anchor] = node
        if not self._open:
            self.root = node
            return
        within = self._open[-1]
        if isinstance(within.node, list):
            within.node.append(node)
        elif within.key is None:
            within.key = node
        else:
            if isinstance(within.key, str):
                within.node[within.key] = node
            within.key = None
