"""What a flow receives."""

import json
from dataclasses import dataclass
from typing import Any, TypeVar

from . import schema
from .failure import InvalidInput

T = TypeVar("T")


@dataclass
class Request:
    """The HTTP request as it arrived, without its credentials."""

    method: str
    path: str
    query: str
    headers: list[tuple[str, str]]
    body: bytes
    peer: str

    def header(self, name: str) -> str | None:
        """The value of the first header of this name, in any case."""
        return next((value for key, value in self.headers if key == name.lower()), None)

    def text(self) -> str:
        """The body as text."""
        return self.body.decode(errors="replace")

    def json(self) -> Any:
        """The body as JSON."""
        return _parsed(self.text(), "body")


@dataclass
class Trigger:
    """What happened and what is wanted of the flow."""

    execution_id: str
    flow: str
    version: str
    hook: str
    dialect: str
    attempt: int
    received_at_ms: int
    deadline_ms: int
    message: str | None
    user_id: str | None
    session_id: str | None
    data: Any
    metadata: Any
    request: Request

    def need_message(self) -> str:
        """The message, which the caller must have sent."""
        return _needed("message", self.message)

    def need_user_id(self) -> str:
        """The user's id, which the caller must have sent."""
        return _needed("user_id", self.user_id)

    def need_session_id(self) -> str:
        """The session's id, which the caller must have sent."""
        return _needed("session_id", self.session_id)

    def input(self, type: type[T]) -> T:
        """The payload as a value of this type; what does not fit is a 422 that names the field."""
        return schema.parse(type, self.data, "data")


def lift(t: Any) -> Trigger:
    """From what the host gives."""
    r = t.request
    headers = [(header.name, header.value.decode(errors="replace")) for header in r.headers]
    request = Request(r.method, r.path, r.query, headers, bytes(r.body), r.peer)
    known = {name: getattr(t, name) for name in Trigger.__dataclass_fields__ if name not in ("data", "metadata", "request")}
    return Trigger(**known, data=_parsed(t.data, "data"), metadata=_parsed(t.metadata, "metadata"), request=request)


def _needed(field: str, value: str | None) -> str:
    if value is None:
        raise InvalidInput.missing(field, "string")
    return value


def _parsed(text: str, field: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise InvalidInput(field, "JSON", "something else") from None
