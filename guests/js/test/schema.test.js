import assert from "node:assert/strict";
import { test } from "node:test";

import { s } from "flowgate";
import { check } from "../schema.js";

const quantity = s.integer().with({ minimum: 0, maximum: 65535 });

const order = s.object({
  customer: s.object({ email: s.string() }),
  lines: s.array(s.object({ quantity, price: s.number().optional() }).with({ additionalProperties: false })).optional(),
  channel: s.oneOf("web", "phone").optional(),
  labels: s.any().with({ type: "object", additionalProperties: { type: "string" } }).optional(),
});

const refusal = (value) => {
  try {
    check(order, value, "data");
  } catch (error) {
    const { field, expected, received } = error.wire.val;
    return [field, expected, received];
  }
  return "allowed";
};

const customer = { email: "a@b.c" };

test("what fits is returned", () => {
  const value = { customer, lines: [{ quantity: 2, price: 1.5 }], channel: "web", labels: { a: "b" }, further: 1 };
  assert.equal(check(order, value, "data"), value);
});

test("what does not fit names its path, what was expected and what was there", () => {
  assert.deepEqual(refusal({}), ["customer", "object", "null"]);
  assert.deepEqual(refusal([]), ["data", "object", "array"]);
  assert.deepEqual(refusal({ customer: {} }), ["customer.email", "string", "null"]);
  assert.deepEqual(refusal({ customer: { email: null } }), ["customer.email", "string", "null"]);
  const lines = (line) => refusal({ customer, lines: [{ quantity: 1 }, line] });
  assert.deepEqual(lines({}), ["lines.1.quantity", "integer from 0 to 65535", "null"]);
  assert.deepEqual(lines({ quantity: 70000 }), ["lines.1.quantity", "integer from 0 to 65535", "70000"]);
  assert.deepEqual(lines({ quantity: 1.5 }), ["lines.1.quantity", "integer from 0 to 65535", "1.5"]);
  assert.deepEqual(lines({ quantity: 1, colour: "red" }), ["lines.1.colour", "`quantity` or `price`", "an unknown field"]);
  assert.deepEqual(refusal({ customer, channel: "fax" }), ["channel", "`web` or `phone`", '"fax"']);
  assert.deepEqual(refusal({ customer, labels: { a: 1 } }), ["labels.a", "string", "number"]);
});

test("a schema written by hand does as well, and the built one is plain data", () => {
  assert.deepEqual(JSON.parse(JSON.stringify(s.object({ a: s.string().optional().describe("A") }))), {
    type: "object",
    properties: { a: { type: "string", description: "A" } },
  });
  assert.throws(() => check({ type: ["string", "null"], maxLength: 2 }, "abc", "x"), /at most 2 characters/);
});
