import json
import unittest

from flowgate import flow, llm, testing
from flowgate.agent import Agent
from flowgate.testing import Refused, memory, run
from flowgate.tool import tool
from componentize_py_types import Err
from wit_world.imports import llm as wire


@tool
def weather(city: str, days: int = 1) -> dict:
    """Tells the weather.

    Args:
        city: Where
    """
    if city == "Atlantis":
        raise ValueError("no such city")
    return {"city": city, "sky": "clear"}


def asks(*calls):
    return {"tool_calls": list(calls)}


class AgentTest(unittest.TestCase):
    def setUp(self):
        testing.reset()

    def test_tools_are_called_until_the_model_has_an_answer(self):
        memory.script = [asks({"name": "weather", "arguments": {"city": "Oslo"}}), "It is clear in Oslo."]
        bot = Agent("fast", system="Be brief.", tools=[weather], forward=True)
        told = run(flow(lambda t: bot.run(t.message).text), message="Oslo?")
        self.assertEqual(told.text, "It is clear in Oslo.")
        first, second = memory.requests
        self.assertTrue(first.forward)
        self.assertEqual(first.tools[0].description, "Tells the weather.")
        self.assertEqual(
            json.loads(first.tools[0].parameters),
            {
                "type": "object",
                "properties": {"city": {"type": "string", "description": "Where"}, "days": {"type": "integer"}},
                "required": ["city"],
                "additionalProperties": False,
            },
        )
        self.assertEqual([message.role.name for message in second.messages], ["SYSTEM", "USER", "ASSISTANT", "TOOL"])
        result = wire.ToolResult("call_1", '{"city":"Oslo","sky":"clear"}', False)
        self.assertEqual(second.messages[3].parts, [wire.Part_ToolResult(result)])

    def test_what_is_wrong_with_a_call_is_told_to_the_model(self):
        memory.script = [
            asks({"name": "weather", "arguments": {"city": 1}}),
            asks({"name": "weather", "arguments": "{"}),
            asks({"name": "weather", "arguments": {"city": "Oslo", "hue": 1}}),
            asks({"name": "weather", "arguments": {"city": "Atlantis"}}),
            asks({"name": "news"}),
            "never mind",
        ]
        run(flow(lambda t: Agent("m", tools=[weather]).run("?").text))
        results = [part.value for message in memory.requests[5].messages for part in message.parts]
        told = [(result.is_error, result.content) for result in results if isinstance(result, wire.ToolResult)]
        self.assertEqual(
            told,
            [
                (True, "Field 'city' is wrong: expected string, received number"),
                (True, "the arguments are no JSON"),
                (True, "Field 'hue' is wrong: expected `city` or `days`, received an unknown argument"),
                (True, "no such city"),
                (True, "there is no tool `news`"),
            ],
        )

    def test_an_agent_that_never_answers_fails_at_its_last_step(self):
        memory.script = [asks({"name": "weather", "arguments": {"city": "Oslo"}})] * 9
        with self.assertRaisesRegex(Refused, "the agent had no answer after 3 steps"):
            run(flow(lambda t: Agent("m", tools=[weather], max_steps=3).run("?").text))
        kinds = [type(request.tool_choice).__name__ for request in memory.requests]
        self.assertEqual(kinds, ["ToolChoice_Auto", "ToolChoice_Auto", "ToolChoice_None_"])

    def test_a_trigger_is_answered_with_the_session_in_mind(self):
        memory.script = ["one", "two"]
        chat = flow(lambda t: Agent("m").run(t).text)
        run(chat, message="1?", session_id="s")
        run(chat, message="2?", session_id="s")
        said = [(message.role.name, message.parts[0].value) for message in memory.requests[1].messages]
        self.assertEqual(said, [("USER", "1?"), ("ASSISTANT", "one"), ("USER", "2?")])

    def test_a_budget_ends_the_execution(self):
        memory.script = [Err(wire.Error_BudgetExceeded(wire.Budget("tokens per execution", 1, 1, 9)))]
        with self.assertRaisesRegex(Refused, "llm: budget exceeded: .*tokens per execution"):
            run(flow(lambda t: Agent("m").run("?").text))

    def test_a_rate_limit_asks_for_a_retry_when_the_provider_says(self):
        memory.script = [Err(wire.Error_RateLimited(1500))]
        with self.assertRaises(Refused) as refused:
            run(flow(lambda t: llm.chat("m", []).text))
        self.assertEqual(refused.exception.failure.value.after_ms, 1500)

    def test_a_stream_comes_in_chunks_and_ends_with_the_reply(self):
        memory.script = [{"text": "hi", **asks({"name": "weather"})}]
        chunks = []
        run(flow(lambda t: chunks.extend(llm.stream("m", [llm.Message("user", "?")]))))
        text, call, reply = chunks
        self.assertEqual((text, call.name, reply.text, reply.finish), ("hi", "weather", "hi", "tool-calls"))

    def test_every_kind_of_part_and_option_arrives(self):
        memory.script = ["{}"]
        image = llm.Image("image/png", b"\1")
        options = {"tool_choice": "tool:weather", "format": llm.JsonSchema("out", {}), "max_tokens": 5, "extra": {"k": 1}}
        run(flow(lambda t: llm.chat("m", [llm.Message("user", ["see", image])], **options).text))
        [request] = memory.requests
        self.assertEqual(request.messages[0].parts, [wire.Part_Text("see"), wire.Part_Image(image)])
        self.assertEqual(request.tool_choice, wire.ToolChoice_Named("weather"))
        self.assertEqual(request.format.value.name, "out")
        self.assertEqual((request.max_tokens, request.temperature, request.extra), (5, None, '{"k":1}'))
