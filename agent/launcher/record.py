"""Values with named fields, for `dataclasses` would bring `re` and `inspect` into memory for good."""

from __future__ import annotations

TYPE_CHECKING = False  # importing it from typing would bring `re`
if TYPE_CHECKING:
    from typing import Self, dataclass_transform
else:

    def dataclass_transform(**_: bool):
        return lambda cls: cls


@dataclass_transform(frozen_default=True)
class Record:
    """A subclass names its fields by annotations; a value in the class is that field's default."""

    def __init__(self, *values: object, **named: object) -> None:
        fields = self._fields()
        if len(values) > len(fields):
            raise TypeError(f"{type(self).__name__} has {len(fields)} fields, not {len(values)}")
        given = dict(zip(fields, values, strict=False)) | named
        if unknown := given.keys() - set(fields):
            raise TypeError(f"{type(self).__name__} has no field {min(unknown)}")
        for name in fields:
            if name not in given and not hasattr(type(self), name):
                raise TypeError(f"{type(self).__name__} needs {name}")
        self.__dict__.update({name: given.get(name, getattr(self, name, None)) for name in fields})

    @classmethod
    def _fields(cls) -> list[str]:
        return list(cls.__annotations__)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__}.{name} is not to be changed: use but()")

    def but(self, **changes: object) -> Self:
        """The same with some fields changed."""
        return type(self)(**{**self.__dict__, **changes})

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.__dict__ == self.__dict__

    def __hash__(self) -> int:
        return hash(tuple(self.__dict__.values()))

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in self.__dict__.items())
        return f"{type(self).__name__}({fields})"
