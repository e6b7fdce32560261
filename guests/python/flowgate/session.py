"""The conversation that this execution belongs to: its messages and its state."""

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from wit_world.imports import session as wire

from .failure import HostError, ask
from .reply import NOTHING, to_json

T = TypeVar("T")
Role = Literal["user", "assistant", "system", "tool"]

_UPDATE_ATTEMPTS = 16


@dataclass
class Message:
    """One message; `seq` rises from message to message."""

    seq: int
    at_ms: int
    role: Role
    text: str
    data: Any = None


def messages(limit: int = 50, before: int | None = None) -> list[Message]:
    """The last messages (at most 1,000) before this execution's own, oldest first; `before` is a `seq`."""

    def lift(m: Any) -> Message:
        return Message(m.seq, m.at_ms, m.role.name.lower(), m.text, None if m.data is None else json.loads(m.data))

    return [lift(message) for message in ask("session", wire.messages, limit, before)]


def append(role: Role, text: str, data: Any = NOTHING) -> int:
    """Adds a message now and returns its number."""
    given = None if data is NOTHING else to_json(data)
    return ask("session", wire.append, wire.Role[role.upper()], text, given)


def get(key: str, default: Any = None) -> Any:
    """Reads a value that `set` or `update` wrote."""
    value, version = read(key)
    return value if version else default


def read(key: str) -> tuple[Any, int]:
    """Reads a value and its version, which is 0 when there is none."""
    entry = ask("session", wire.get, key)
    return (None, 0) if entry is None else (json.loads(entry.value), entry.version)


def set(key: str, value: Any, expect: int | None = None) -> int:
    """Writes a value as JSON and returns its version. With `expect`, only when the key is at this version."""
    return ask("session", wire.set, key, to_json(value).encode(), expect)


def delete(key: str) -> None:
    """Removes a key."""
    ask("session", wire.delete, key)


def update(key: str, initial: T, change: Callable[[T], T | None]) -> T:
    """Writes what `change` makes of the value, again if another execution came between, and returns it.

    `change` returns the new value, or None when it has changed the one that it was given.
    """
    for attempt in range(1, _UPDATE_ATTEMPTS + 1):
        value, version = read(key)
        value = value if version else copy.deepcopy(initial)
        changed = change(value)
        value = value if changed is None else changed
        try:
            set(key, value, version)
            break
        except HostError as error:
            if error.code != "conflict" or attempt == _UPDATE_ATTEMPTS:
                raise
    return value
