"""Language models, brokered by the host. A flow names an alias such as `fast`; the operator decides which model that is."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Union

from wit_world.imports import llm as wire
from wit_world.imports.llm import Embeddings, Image, ToolCall, ToolResult, Usage

from .failure import ask
from .reply import to_json
from .tool import Tool

__all__ = [
    "Embeddings", "Image", "JsonSchema", "Message", "Part", "Reply", "ToolCall", "ToolResult", "Usage",
    "chat", "embed", "models", "stream",
]

Role = Literal["system", "user", "assistant", "tool"]
Part = Union[str, Image, ToolCall, ToolResult]

_PARTS: dict[type, Any] = {
    str: wire.Part_Text, Image: wire.Part_Image, ToolCall: wire.Part_ToolCall, ToolResult: wire.Part_ToolResult,
}
_CHOICES = {"auto": wire.ToolChoice_Auto, "none": wire.ToolChoice_None_, "required": wire.ToolChoice_Required}


@dataclass
class Message:
    """One message: a text, or parts of it."""

    role: Role
    content: str | Sequence[Part]


@dataclass
class JsonSchema:
    """The reply is to be one JSON text that this schema allows."""

    name: str
    schema: dict[str, Any]


@dataclass
class Reply:
    """What the model answered."""

    model: str
    message: Message
    finish: Literal["stop", "length", "tool-calls", "content-filter", "other"]
    usage: Usage

    @property
    def text(self) -> str:
        """All its text."""
        return "".join(part for part in self.message.content if isinstance(part, str))

    @property
    def tool_calls(self) -> list[ToolCall]:
        """The tools that it wants to be called."""
        return [part for part in self.message.content if isinstance(part, ToolCall)]


def chat(model: str, messages: Sequence[Message], **options: Any) -> Reply:
    """Asks the model and returns its whole reply.

    Options: `tools` (made by `flowgate.tool`), `tool_choice` (`auto`, `none`, `required`, or `tool:` and a name), `format`
    (`text`, `json`, or a JsonSchema), `max_tokens`, `temperature`, `stop`, `seed`, `extra`, and `forward`: whether the text
    also goes to the flow's caller as it comes.
    """
    return _lift(ask("llm", wire.chat, _lower(model, messages, **options)))


def stream(model: str, messages: Sequence[Message], **options: Any) -> Iterator[str | ToolCall | Reply]:
    """Asks the model and yields texts, tool calls and at last the whole reply as they come. Options as for `chat`."""
    with ask("llm", wire.open, _lower(model, messages, **options)) as stream:
        while (chunk := ask("llm", stream.next)) is not None:
            yield _lift(chunk.value) if isinstance(chunk, wire.Chunk_Done) else chunk.value


def embed(model: str, inputs: Sequence[str]) -> Embeddings:
    """The vectors of some texts, in order."""
    return ask("llm", wire.embed, model, list(inputs))


def models() -> list[str]:
    """The aliases that the flow was granted."""
    return ask("llm", wire.models)


def _lower(
    model: str,
    messages: Sequence[Message],
    *,
    tools: Sequence[Tool] = (),
    tool_choice: str = "auto",
    format: str | JsonSchema = "text",
    max_tokens: int | None = None,
    temperature: float | None = None,
    stop: Sequence[str] = (),
    seed: int | None = None,
    extra: dict[str, Any] | None = None,
    forward: bool = False,
) -> Any:
    named = tool_choice.removeprefix("tool:")
    choice = wire.ToolChoice_Named(named) if named != tool_choice else _CHOICES[tool_choice]()
    if isinstance(format, JsonSchema):
        shape = wire.Format_JsonSchema(wire.NamedSchema(format.name, to_json(format.schema)))
    else:
        shape = {"text": wire.Format_Text, "json": wire.Format_Json}[format]()
    return wire.Request(
        model=model,
        messages=[wire.Message(wire.Role[message.role.upper()], _parts(message.content)) for message in messages],
        tools=[wire.Tool(tool.name, tool.description, to_json(tool.parameters)) for tool in tools],
        tool_choice=choice,
        format=shape,
        max_tokens=max_tokens,
        temperature=temperature,
        stop=list(stop),
        seed=seed,
        extra=None if extra is None else to_json(extra),
        forward=forward,
    )


def _parts(content: str | Sequence[Part]) -> list[Any]:
    return [_PARTS[type(part)](part) for part in ([content] if isinstance(content, str) else content)]


def _lift(reply: Any) -> Reply:
    message = Message(reply.message.role.name.lower(), [part.value for part in reply.message.parts])
    return Reply(reply.model, message, reply.finish.name.lower().replace("_", "-"), reply.usage)
