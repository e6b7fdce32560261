"""Output before the reply. A caller that streams gets each as a Server-Sent Event."""

from typing import Any

from wit_world.imports import output as wire

from .failure import ask
from .reply import NOTHING, to_json


def say(text: str | None = None, data: Any = NOTHING) -> None:
    """Says a text, a value, or both, now."""
    ask("output", wire.say, text, None if data is NOTHING else to_json(data))


def progress(message: str, percent: int | None = None) -> None:
    """Tells how far the work has come; `percent` is 0 to 100."""
    ask("output", wire.progress, percent, message)
