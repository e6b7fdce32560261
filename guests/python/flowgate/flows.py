"""Calls of other flows."""

import json
from typing import Any

from wit_world.imports import flows as wire

from .failure import ask
from .reply import NOTHING, HttpReply, Reply, to_json


def call(flow: str, *, message: str | None = None, data: Any = {}, session_id: str | None = None) -> Reply:
    """Runs another flow and waits for its reply."""
    reply = ask("flows", wire.call, wire.Invocation(flow, message, to_json(data), session_id))
    given = NOTHING if reply.data is None else json.loads(reply.data)
    return Reply(reply.text, given, reply.raw and _response(reply.raw))


def start(flow: str, *, message: str | None = None, data: Any = {}, session_id: str | None = None) -> str:
    """Starts an execution that runs on its own, and returns its id."""
    return ask("flows", wire.start, wire.Invocation(flow, message, to_json(data), session_id))


def _response(raw: Any) -> HttpReply:
    headers = {field.name: field.value.decode(errors="replace") for field in raw.headers}
    return HttpReply(raw.status, headers, bytes(raw.body))
