"""The loop that lets a model call tools until it has an answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from . import llm
from .failure import Failed, Failure, HostError, InvalidInput
from .llm import Message, Reply, ToolCall, ToolResult, Usage
from .reply import to_json
from .tool import Tool


@dataclass
class Answer:
    """What came of a run."""

    text: str
    reply: Reply
    messages: list[Message]
    steps: int
    usage: Usage


class Agent:
    """Asks the model, calls the tools that it wants, gives it their results, until it wants none any more.

    More than `max_steps` calls of the model are a failure. What is wrong with a tool's arguments, and what a tool raises,
    is told to the model; a Failure ends the run. Further options are those of `llm.chat`.
    """

    def __init__(self, model: str, *, system: str = "", tools: Sequence[Tool] = (), max_steps: int = 8, **options: Any):
        self.model, self.system, self.tools, self.max_steps, self.options = model, system, tools, max_steps, options

    def run(self, message: str | Message, history: Sequence[Message] = ()) -> Answer:
        """The answer to one message."""
        said = Message("user", message) if isinstance(message, str) else message
        messages = [*([Message("system", self.system)] if self.system else []), *history, said]
        usage = Usage(0, 0, 0, None)
        for step in range(1, self.max_steps + 1):
            reply = llm.chat(self.model, messages, tools=self.tools, **self.options)
            _add(usage, reply.usage)
            messages.append(reply.message)
            if not reply.tool_calls:
                return Answer(reply.text, reply, messages, step, usage)
            messages.append(Message("tool", [self._result(call) for call in reply.tool_calls]))
        raise Failed(f"the agent has no answer after {self.max_steps} steps")

    def _result(self, call: ToolCall) -> ToolResult:
        tool = next((tool for tool in self.tools if tool.name == call.name), None)
        if tool is None:
            return ToolResult(call.id, f"there is no tool {call.name}", True)
        try:
            result = tool.invoke(call.arguments)
            return ToolResult(call.id, result if isinstance(result, str) else to_json(result), False)
        except Exception as error:
            if isinstance(error, (Failure, HostError)) and not isinstance(error, InvalidInput):
                raise
            return ToolResult(call.id, str(error), True)


def _add(sum: Usage, usage: Usage) -> None:
    sum.input_tokens += usage.input_tokens
    sum.output_tokens += usage.output_tokens
    sum.cached_tokens += usage.cached_tokens
    if usage.cost_micro_usd is not None:
        sum.cost_micro_usd = (sum.cost_micro_usd or 0) + usage.cost_micro_usd
