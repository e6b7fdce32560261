"""Runs flows on your own machine, against a small host in memory."""

import dataclasses
import json
from typing import Any

from componentize_py_types import Err
from wit_world.imports import flow_types, session

from . import _memory
from ._memory import MEMORY as memory
from .flow import Flow
from .reply import Reply

__all__ = ["Refused", "memory", "outputs", "request", "reset", "run", "trigger"]


class Refused(Exception):
    """The flow gave no reply; `failure` is what the host would get."""

    def __init__(self, failure: Any):
        value = failure.value
        super().__init__(value if isinstance(value, str) else value.message)
        self.failure = failure


def reset() -> None:
    """Forgets everything."""
    for field in dataclasses.fields(memory):
        setattr(memory, field.name, getattr(_memory.Memory(), field.name))


def outputs(kind: str) -> list[Any]:
    """Outputs of one kind (`said`, `progress`, `emitted`, `logged`, `span`, `started`) since the last `reset`."""
    return [what for of, what in memory.outputs if of == kind]


def trigger(
    *,
    message: str | None = None,
    user_id: str | None = None,
    session_id: str | None = None,
    data: Any = {},
    metadata: Any = {},
    headers: dict[str, str] = {},
    body: str | None = None,
) -> flow_types.Trigger:
    """A trigger with these members, and with what an empty request has for the others."""
    fields = [flow_types.Header(name.lower(), value.encode()) for name, value in headers.items()]
    body = json.dumps({"message": message, "data": data}) if body is None else body
    return flow_types.Trigger(
        execution_id="exe_test",
        flow="test",
        version=f"sha256:{'0' * 64}",
        hook="hok_test",
        dialect="native",
        attempt=1,
        received_at_ms=1735689600000,
        deadline_ms=1735689630000,
        message=message,
        user_id=user_id,
        session_id=session_id,
        data=json.dumps(data),
        metadata=json.dumps(metadata),
        request=flow_types.Request("POST", "/hooks/test", "", fields, body.encode(), "127.0.0.1"),
    )


def request(text: str) -> flow_types.Trigger:
    """The trigger that a body makes on a native hook."""
    body = json.loads(text)
    known = {name: body[name] for name in ("message", "user_id", "session_id", "data", "metadata") if name in body}
    return trigger(**known, body=text)


def run(flow: Flow, what: flow_types.Trigger | None = None, **members: Any) -> Reply:
    """Runs a flow as the host does: in the trigger's session, whose messages are kept when it succeeds.

    Returns the reply with its data parsed; raises Refused when there is none.
    """
    what = trigger(**members) if what is None else what
    memory.session, memory.now_ms = what.session_id, what.received_at_ms
    try:
        reply = flow.handle(what)
    except Err as error:
        raise Refused(error.value) from None
    if what.session_id is not None:
        for role, text in ((session.Role.USER, what.message), (session.Role.ASSISTANT, reply.text)):
            if text is not None:
                _memory.append(role, text)
    return Reply(reply.text, None if reply.data is None else json.loads(reply.data), reply.raw)
