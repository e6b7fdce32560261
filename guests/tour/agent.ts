// A language model with two tools. `agent.py` and the example `support_agent` come to the same transcript.

import { agent, config, events, flow, reply, s, tool } from "flowgate";
import type { llm } from "flowgate";

const ORDERS: Record<string, string> = { "48213": "lamp, 49.90 EUR, delivered on 2026-11-18" };

const findOrder = tool({
  name: "find_order",
  description: "Tells what is known of an order.",
  parameters: { number: s.string().describe("The order's number, five digits.") },
  run({ number }) {
    const order = ORDERS[number];
    if (!order) throw new Error(`there is no order ${number}`);
    return order;
  },
});

const openCase = tool({
  name: "open_case",
  description: "Opens a case for the shop's staff and returns its number.",
  parameters: { order: s.string(), wish: s.oneOf("replacement", "refund", "other") },
  run({ order, wish }) {
    events.emit("case.opened", { case: `CASE-${order}`, order, wish });
    return `CASE-${order}`;
  },
});

export default flow(async (trigger) => {
  const support = agent({
    model: config.get("model", "mock"),
    system: "You answer customers of a shop for lamps and chairs.",
    tools: [findOrder, openCase],
    maxSteps: 6,
    maxTokens: 400,
    forward: true,
  });
  const { text, steps, messages } = await support.run(trigger);
  return reply.json({ steps, transcript: messages.map(shown) }, { text });
});

function shown({ role, content }: llm.Message) {
  return { role, parts: (typeof content === "string" ? [{ text: content }] : content).map(part) };
}

function part(part: llm.Part) {
  if (typeof part === "string") return { text: part };
  if ("toolCall" in part) return { tool_call: { ...part.toolCall, arguments: JSON.parse(part.toolCall.arguments) } };
  if ("toolResult" in part) {
    const { id, content, isError } = part.toolResult;
    return { tool_result: { id, content, is_error: isError } };
  }
  return part;
}
