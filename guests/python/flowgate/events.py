"""Events of the flow's own making."""

from typing import Any

from wit_world.imports import events as wire

from .failure import ask
from .reply import to_json


def emit(name: str, data: Any = {}) -> None:
    """Tells subscribers of `custom.<name>` when the execution has ended."""
    ask("events", wire.emit, name, to_json(data))
