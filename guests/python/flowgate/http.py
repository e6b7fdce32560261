"""An HTTP client; requests go where the operator has granted them to go."""

import json as json_
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wit_world.imports import http as wire

from .failure import ask
from .reply import NOTHING, headers as fields, octets, to_json


@dataclass
class Response:
    """An answer; redirects are answers like any other."""

    url: str
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether the status is 200 to 299."""
        return 200 <= self.status < 300

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode(errors="replace")

    def json(self) -> Any:
        """The body as JSON."""
        return json_.loads(self.body)


def fetch(
    url: str,
    *,
    method: str | None = None,
    headers: Mapping[str, str] = {},
    body: str | bytes = b"",
    json: Any = NOTHING,
    timeout: float | None = None,
) -> Response:
    """Sends a request, `POST` when it has a body. `timeout` is in seconds and for everything."""
    sent = {name.lower(): value for name, value in headers.items()}
    if json is not NOTHING:
        body = to_json(json)
        sent.setdefault("content-type", "application/json")
    timeout_ms = None if timeout is None else round(timeout * 1000)
    method = method or ("POST" if body else "GET")
    answer = ask("http", wire.fetch, wire.Request(method, url, fields(sent), octets(body), timeout_ms))
    received: dict[str, str] = {}
    for field in answer.headers:
        value = field.value.decode(errors="replace")
        received[field.name] = f"{received[field.name]}, {value}" if field.name in received else value
    return Response(url, answer.status, received, bytes(answer.body))
