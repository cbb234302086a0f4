"""A value with named fields: compared by value, shown by name, changed by nobody.

    class Mail(Record):
        __slots__ = ("sender", "size")

dataclasses would cost a cold program more than all the rest of its start.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Record:
    """Fields are the names in __slots__, given in that order or by name."""

    __slots__: tuple[str, ...] = ()

    def __init__(self, *values: "Any", **named: "Any") -> None:
        for name, value in zip(self.__slots__, values, strict=not named):
            setattr(self, name, value)
        for name, value in named.items():
            setattr(self, name, value)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and all(
            getattr(self, name) == getattr(other, name) for name in self.__slots__)

    def __hash__(self) -> int:
        return hash((type(self), *(getattr(self, name) for name in self.__slots__)))

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={getattr(self, name, '?')!r}" for name in self.__slots__)
        return f"{type(self).__name__}({fields})"
