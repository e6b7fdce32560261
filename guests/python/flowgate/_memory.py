"""The host in memory: what the interfaces answer, and what is remembered of their calls."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from componentize_py_types import Err
from wit_world.imports import (
    config, events, flow_types, flows, http, keyvalue, keyvalue_atomics, llm, logging, output, secrets, secrets_reveal, session, spans,
)


@dataclass
class Memory:
    """All that a test can look at and set."""

    outputs: list[tuple[str, Any]] = field(default_factory=list)
    config: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    sessions: dict[str, Any] = field(default_factory=dict)
    session: str | None = ""
    now_ms: int = 0
    http: Callable[[Any], tuple[int, dict[str, str], bytes]] | None = None
    kept: dict[str, dict[str, bytes]] = field(default_factory=dict)
    flows: dict[str, Callable[[Any], Any]] = field(default_factory=dict)
    requests: list[Any] = field(default_factory=list)
    script: list[Any] = field(default_factory=list)


MEMORY = Memory()


def append(role: Any, text: str, data: str | None = None) -> int:
    messages = _current().messages
    messages.append(session.Message(len(messages) + 1, MEMORY.now_ms, role, text, data))
    return len(messages)


def _current() -> Any:
    if MEMORY.session is None:
        raise Err(session.Error_NoSession())
    return MEMORY.sessions.setdefault(MEMORY.session, SimpleNamespace(messages=[], state={}))


def _note(kind: str, **what: Any) -> None:
    MEMORY.outputs.append((kind, SimpleNamespace(**what)))


def _parsed(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def _messages(limit: int, before: int | None) -> list[Any]:
    older = [message for message in _current().messages if before is None or message.seq < before]
    return older[max(0, len(older) - min(limit, 1000)):]


def _set(key: str, value: bytes, expect: int | None) -> int:
    state = _current().state
    now = state[key].version if key in state else 0
    if expect is not None and expect != now:
        raise Err(session.Error_Conflict(now))
    state[key] = session.Entry(value, now + 1)
    return now + 1


class _Bucket:
    def __init__(self, name: str):
        self.kept = MEMORY.kept.setdefault(name, {})
        self.get, self.set = self.kept.get, self.kept.__setitem__
        self.exists = self.kept.__contains__

    def delete(self, key: str) -> None:
        self.kept.pop(key, None)

    def list_keys(self, cursor: str | None) -> Any:
        return keyvalue.KeyResponse(list(self.kept), None)


class _Cas:
    def __init__(self, bucket: _Bucket, key: str):
        self.bucket, self.key, self.seen = bucket, key, bucket.get(key)

    @classmethod
    def new(cls, bucket: _Bucket, key: str) -> "_Cas":
        return cls(bucket, key)

    def current(self) -> bytes | None:
        return self.seen


def _swap(cas: _Cas, value: bytes) -> None:
    if cas.bucket.get(cas.key) is not cas.seen:
        raise Err(keyvalue_atomics.CasError_CasFailed(cas))
    cas.bucket.set(cas.key, value)


def _increment(bucket: _Bucket, key: str, by: int) -> int:
    total = int(bucket.get(key) or b"0") + by
    bucket.set(key, str(total).encode())
    return total


def _secret(name: str) -> str:
    if name not in MEMORY.secrets:
        raise Err(secrets.Error_Unknown(name))
    return MEMORY.secrets[name]


def _fetch(request: Any) -> Any:
    MEMORY.requests.append(request)
    if MEMORY.http is None:
        raise Err(http.Error_NotGranted(request.url))
    status, headers, body = MEMORY.http(request)
    return http.Response(status, [flow_types.Header(k.lower(), v.encode()) for k, v in headers.items()], body)


def _answer(request: Any) -> Any:
    MEMORY.requests.append(request)
    if not MEMORY.script:
        raise Err(llm.Error_Provider("the script has ended"))
    answer = MEMORY.script.pop(0)
    if isinstance(answer, Err):
        raise answer
    answer = {"text": answer} if isinstance(answer, str) else answer
    parts: list[Any] = [llm.Part_Text(answer["text"])] if "text" in answer else []
    for at, call in enumerate(answer.get("tool_calls", []), 1):
        given = call.get("arguments", {})
        text = given if isinstance(given, str) else json.dumps(given)
        parts.append(llm.Part_ToolCall(llm.ToolCall(call.get("id", f"call_{at}"), call["name"], text)))
    finish = llm.Finish.TOOL_CALLS if answer.get("tool_calls") else llm.Finish.STOP
    return llm.Reply("test", llm.Message(llm.Role.ASSISTANT, parts), finish, llm.Usage(1, 1, 0, None))


class _Stream:
    def __init__(self, request: Any):
        reply = _answer(request)
        kinds = {llm.Part_Text: llm.Chunk_Text, llm.Part_ToolCall: llm.Chunk_ToolCall}
        self.chunks = [*(kinds[type(part)](part.value) for part in reply.message.parts), llm.Chunk_Done(reply)]

    def next(self) -> Any:
        return self.chunks.pop(0) if self.chunks else None

    def __enter__(self) -> "_Stream":
        return self

    def __exit__(self, *_: Any) -> None:
        pass


class _Span:
    def __init__(self, name: str):
        self.record = SimpleNamespace(name=name, set={}, error=None)
        MEMORY.outputs.append(("span", self.record))

    def set(self, key: str, value: str) -> None:
        self.record.set[key] = value

    def end(self, error: str | None) -> None:
        self.record.error = error

    __enter__, __exit__ = _Stream.__enter__, _Stream.__exit__


def _call(invocation: Any) -> Any:
    if invocation.flow not in MEMORY.flows:
        raise Err(flows.Error_Unknown(invocation.flow))
    return MEMORY.flows[invocation.flow](invocation)


def _embed(model: str, inputs: list[str]) -> Any:
    return llm.Embeddings([[float(len(text))] for text in inputs], llm.Usage(1, 0, 0, None))


def install() -> None:
    """Puts all of it in the place of the functions that only a component has."""
    _put(output, say=lambda text, data: _note("said", text=text, data=_parsed(data)))
    _put(output, progress=lambda percent, message: _note("progress", percent=percent, message=message))
    _put(events, emit=lambda name, data: _note("emitted", name=name, data=_parsed(data)))
    _put(logging, log=lambda level, context, message: _note("logged", level=level.name, message=message))
    _put(config, get=lambda key: MEMORY.config.get(key), get_all=lambda: list(MEMORY.config.items()))
    _put(session, messages=_messages, append=append, set=_set)
    _put(session, get=lambda key: _current().state.get(key), delete=lambda key: _current().state.pop(key, None))
    _put(keyvalue, open=_Bucket)
    _put(keyvalue_atomics, increment=_increment, Cas=_Cas, swap=_swap)
    _put(secrets, exists=lambda name: name in MEMORY.secrets)
    _put(secrets, placeholder=lambda name: f"{{{{secret:{_secret(name) and name}}}}}")
    _put(secrets_reveal, reveal=_secret)
    _put(http, fetch=_fetch)
    _put(llm, chat=_answer, open=_Stream, embed=_embed, models=lambda: ["test"])
    _put(flows, call=_call, start=lambda i: (_note("started", invocation=i), "exe_started")[1])
    _put(spans, Span=_Span)


def _put(module: Any, **functions: Any) -> None:
    for name, function in functions.items():
        setattr(module, name, function)
