"""The loop that lets a model call tools until it has an answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from . import llm, session
from .failure import Failed, HostError, Retry
from .llm import Message, Reply, ToolCall, ToolResult, Usage
from .reply import to_json
from .tool import Tool
from .trigger import Trigger


@dataclass
class Answer:
    """What came of a run; `messages` go from the user's to the answer, with all calls of tools."""

    text: str
    reply: Reply
    messages: list[Message]
    steps: int
    usage: Usage


class Agent:
    """Asks the model, calls the tools that it wants, gives it their results, until it wants none any more.

    In the last of `max_steps` steps the model can only answer. What is wrong with a tool's arguments, and what a tool
    raises, is told to the model; Retry and an error of the host end the run. `history` is how many messages of the session
    the model is reminded of. Further options are those of `llm.chat`.
    """

    def __init__(
        self,
        model: str,
        *,
        system: str = "",
        tools: Sequence[Tool] = (),
        max_steps: int = 8,
        history: int = 50,
        **options: Any,
    ):
        self.model, self.system, self.tools, self.options = model, system, tools, options
        self.max_steps, self.history = max_steps, history

    def run(self, said: Trigger | str | Message) -> Answer:
        """Answers a trigger's message within its session, or what is given."""
        messages = [Message("system", self.system)] if self.system else []
        if isinstance(said, Trigger) and said.session_id is not None and self.history > 0:
            messages += [Message(message.role, message.text) for message in session.messages(self.history)]
        begin = len(messages)
        text = said.need_message() if isinstance(said, Trigger) else said
        messages.append(text if isinstance(text, Message) else Message("user", text))
        usage = Usage(0, 0, 0, None)
        for step in range(1, self.max_steps + 1):
            options = dict(self.options)
            if step == self.max_steps and self.tools:
                options["tool_choice"] = "none"
            reply = llm.chat(self.model, messages, tools=self.tools, **options)
            _add(usage, reply.usage)
            messages.append(reply.message)
            if not reply.tool_calls:
                return Answer(reply.text, reply, messages[begin:], step, usage)
            messages.append(Message("tool", [self._result(call) for call in reply.tool_calls]))
        raise Failed(f"the agent had no answer after {self.max_steps} steps")

    def _result(self, call: ToolCall) -> ToolResult:
        tool = next((tool for tool in self.tools if tool.name == call.name), None)
        if tool is None:
            return ToolResult(call.id, f"there is no tool `{call.name}`", True)
        try:
            result = tool.invoke(call.arguments)
            return ToolResult(call.id, result if isinstance(result, str) else to_json(result), False)
        except Exception as error:
            if isinstance(error, (Retry, HostError)):
                raise
            return ToolResult(call.id, str(error), True)


def _add(sum: Usage, usage: Usage) -> None:
    sum.input_tokens += usage.input_tokens
    sum.output_tokens += usage.output_tokens
    sum.cached_tokens += usage.cached_tokens
    if usage.cost_micro_usd is not None:
        sum.cost_micro_usd = (sum.cost_micro_usd or 0) + usage.cost_micro_usd
