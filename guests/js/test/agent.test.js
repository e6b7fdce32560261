import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { agent, flow, llm, s, tool } from "flowgate";
import { memory, reset, run } from "flowgate/testing";

beforeEach(reset);

const weather = tool({
  name: "weather",
  description: "Tells the weather",
  parameters: { city: s.string().describe("Where"), days: s.integer().optional() },
  run: ({ city }) => ({ city, sky: "clear" }),
});

const asks = (...toolCalls) => ({ toolCalls });

test("tools are called until the model has an answer", async () => {
  memory.script = [asks({ name: "weather", arguments: { city: "Oslo" } }), "It is clear in Oslo."];
  const bot = agent({ model: "fast", system: "Be brief.", tools: [weather], forward: true });
  const told = await run(flow(async (t) => bot.run(t.message)), { message: "Oslo?" });
  assert.equal(told.data.text, "It is clear in Oslo.");
  assert.equal(told.data.steps, 2);
  const [first, second] = memory.requests;
  assert.equal(first.forward, true);
  assert.deepEqual(JSON.parse(first.tools[0].parameters), {
    type: "object",
    properties: { city: { type: "string", description: "Where" }, days: { type: "integer" } },
    required: ["city"],
    additionalProperties: false,
  });
  assert.deepEqual(second.messages.map(({ role }) => role), ["system", "user", "assistant", "tool"]);
  const result = { id: "call_1", content: '{"city":"Oslo","sky":"clear"}', isError: false };
  assert.deepEqual(second.messages[3].parts, [{ tag: "tool-result", val: result }]);
});

test("what is wrong with a call is told to the model", async () => {
  memory.script = [
    asks({ name: "weather", arguments: { city: 1 } }),
    asks({ name: "weather", arguments: "{" }),
    asks({ name: "news" }),
    "never mind",
  ];
  await run(flow(async () => (await agent({ model: "m", tools: [weather] }).run("?")).text));
  const results = memory.requests[3].messages.flatMap(({ parts }) => parts).filter(({ tag }) => tag === "tool-result");
  assert.deepEqual(results.map(({ val }) => [val.isError, val.content]), [
    [true, "Field 'city' is wrong: expected string, received number"],
    [true, "the arguments are no JSON"],
    [true, "there is no tool `news`"],
  ]);
});

test("an agent that never answers fails at its last step", async () => {
  memory.script = Array(9).fill(asks({ name: "weather", arguments: { city: "Oslo" } }));
  const bot = agent({ model: "m", tools: [weather], maxSteps: 3 });
  await assert.rejects(run(flow(() => bot.run("?"))), /the agent had no answer after 3 steps/);
  assert.deepEqual(memory.requests.map(({ toolChoice }) => toolChoice.tag), ["auto", "auto", "none"]);
});

test("a trigger is answered with the session in mind", async () => {
  memory.script = ["one", "two"];
  const chat = flow(async (t) => (await agent({ model: "m" }).run(t)).text);
  await run(chat, { message: "1?", sessionId: "s" });
  await run(chat, { message: "2?", sessionId: "s" });
  const said = memory.requests[1].messages.map(({ role, parts: [{ val }] }) => `${role}: ${val}`);
  assert.deepEqual(said, ["user: 1?", "assistant: one", "user: 2?"]);
});

test("a budget ends the execution", async () => {
  memory.script = [{ error: { tag: "budget-exceeded", val: { name: "tokens per execution", limit: 1, used: 1, wanted: 9 } } }];
  await assert.rejects(run(flow(() => agent({ model: "m" }).run("?"))), /llm: budget exceeded: .*tokens per execution/);
});

test("a rate limit asks for a retry when the provider says", async () => {
  memory.script = [{ error: { tag: "rate-limited", val: 1500 } }];
  const limited = (error) => (assert.deepEqual(error.failure.val.afterMs, 1500), true);
  await assert.rejects(run(flow(() => llm.chat({ model: "m", messages: [] }))), limited);
});

test("a stream comes in chunks and ends with the reply", async () => {
  memory.script = [{ text: "hi", ...asks({ name: "weather" }) }];
  const chunks = await run(flow(() => [...llm.stream({ model: "m", messages: [{ role: "user", content: "?" }] })]));
  const [text, call, { done }] = chunks.data;
  assert.deepEqual([text, call.toolCall.name, done.text, done.finish], [{ text: "hi" }, "weather", "hi", "tool-calls"]);
});

test("every kind of part and option arrives", async () => {
  memory.script = ["{}"];
  const image = { mediaType: "image/png", data: Uint8Array.of(1) };
  await run(flow(() => llm.chat({
    model: "m",
    messages: [{ role: "user", content: [{ text: "see" }, { image }] }],
    toolChoice: { name: "weather" },
    format: { name: "out", schema: s.object({}) },
    maxTokens: 5,
    extra: { top_k: 1 },
  }).text));
  const [{ messages, toolChoice, format, maxTokens, temperature, extra }] = memory.requests;
  assert.deepEqual(messages[0].parts, [{ tag: "text", val: "see" }, { tag: "image", val: image }]);
  assert.deepEqual(toolChoice, { tag: "named", val: "weather" });
  assert.equal(format.val.name, "out");
  assert.deepEqual([maxTokens, temperature, extra], [5, null, '{"top_k":1}']);
});
