"""What a flow answers."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wit_world.imports import flow_types as wire


@dataclass
class HttpReply:
    """A whole HTTP response, where the hook's dialect allows it."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | bytes = b""


NOTHING: Any = object()


@dataclass
class Reply:
    """A text for a person, data for a program, both, or a whole HTTP response."""

    text: str | None = None
    data: Any = NOTHING
    raw: HttpReply | None = None


def to_json(value: Any) -> str:
    """One JSON text; dataclasses are objects."""
    return json.dumps(value, default=_plain, ensure_ascii=False, separators=(",", ":"))


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    raise TypeError(f"a {type(value).__name__} is no JSON")


def headers(fields: Mapping[str, str]) -> list[wire.Header]:
    return [wire.Header(name.lower(), str(value).encode()) for name, value in fields.items()]


def octets(body: str | bytes) -> bytes:
    return body.encode() if isinstance(body, str) else bytes(body)


def lower(value: Any) -> wire.Reply:
    """The reply as the host takes it. A string is a text, None is nothing, another value is data."""
    if value is None:
        value = Reply()
    elif isinstance(value, str):
        value = Reply(text=value)
    elif isinstance(value, HttpReply):
        value = Reply(raw=value)
    elif not isinstance(value, Reply):
        value = Reply(data=value)
    data = None if value.data is NOTHING else to_json(value.data)
    raw = value.raw and wire.HttpReply(value.raw.status, headers(value.raw.headers), octets(value.raw.body))
    return wire.Reply(value.text, data, raw)
