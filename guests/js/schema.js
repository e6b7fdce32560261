// JSON Schemas: a small builder, and a check that says exactly what does not fit.

import { Failure } from "./failure.js";

const OPTIONAL = Symbol("optional");

class Schema {
  constructor(members) {
    Object.assign(this, members);
  }

  /** The same schema with a description, which is what a model reads of it. */
  describe(description) {
    return this.with({ description });
  }

  /** The same schema for a member that may be absent. */
  optional() {
    const same = this.with({});
    Object.defineProperty(same, OPTIONAL, { value: true });
    return same;
  }

  /** The same schema with more JSON Schema keywords. */
  with(members) {
    const same = new Schema({ ...this, ...members });
    if (this[OPTIONAL]) Object.defineProperty(same, OPTIONAL, { value: true });
    return same;
  }
}

/**
 * Builds JSON Schemas; what it makes is plain data, and a schema written by hand does as well. Objects may have further
 * members unless `with({ additionalProperties: false })` forbids them.
 */
export const s = {
  string: () => new Schema({ type: "string" }),
  number: () => new Schema({ type: "number" }),
  integer: () => new Schema({ type: "integer" }),
  boolean: () => new Schema({ type: "boolean" }),
  any: () => new Schema({}),
  oneOf: (...values) => new Schema({ enum: values }),
  array: (items) => new Schema({ type: "array", items }),
  object: (properties = {}) => {
    const required = Object.keys(properties).filter((name) => !properties[name][OPTIONAL]);
    return new Schema({ type: "object", properties, ...(required.length > 0 && { required }) });
  },
  check,
};

/**
 * The value, if the schema allows it; else throws a Failure that names the field, with `root` for the whole. Understands
 * type, properties, required, additionalProperties, items, enum, const, minimum, maximum, minLength, maxLength.
 */
export function check(schema, value, root = "data") {
  walk(schema, value, [], root);
  return value;
}

function walk(schema, value, path, root) {
  const refuse = (expected, received) => {
    throw Failure.invalid(path.join(".") || root, expected, received);
  };
  if (schema.enum && !schema.enum.some((one) => same(one, value))) {
    refuse(choice(schema.enum), brief(value));
  }
  if ("const" in schema && !same(schema.const, value)) refuse(choice([schema.const]), brief(value));
  const types = schema.type === undefined ? [] : [schema.type].flat();
  if (types.length > 0 && !types.some((type) => is(type, value))) {
    const whole = types.includes("integer") && typeof value === "number";
    refuse(bounded(types.join(" or "), schema), whole ? brief(value) : typeName(value));
  }
  if (typeof value === "number" && (value < schema.minimum || value > schema.maximum)) {
    refuse(bounded(types.join(" or ") || "number", schema), brief(value));
  }
  if (typeof value === "string") {
    const length = [...value].length;
    if (length < schema.minLength) refuse(`at least ${schema.minLength} characters`, `${length}`);
    if (length > schema.maxLength) refuse(`at most ${schema.maxLength} characters`, `${length}`);
  }
  if (Array.isArray(value)) {
    if (schema.items) value.forEach((item, at) => walk(schema.items, item, [...path, at], root));
  } else if (value !== null && typeof value === "object") {
    members(schema, value, path, root);
  }
}

function members(schema, value, path, root) {
  const properties = schema.properties ?? {};
  for (const name of schema.required ?? []) {
    if (value[name] === undefined) throw Failure.missing([...path, name].join("."), wanted(properties[name] ?? {}));
  }
  for (const name of Object.keys(value)) {
    if (Object.hasOwn(properties, name)) {
      if (value[name] !== undefined) walk(properties[name], value[name], [...path, name], root);
    } else if (schema.additionalProperties === false) {
      throw Failure.invalid([...path, name].join("."), choice(Object.keys(properties)) || "no field", "an unknown field");
    } else if (schema.additionalProperties && typeof schema.additionalProperties === "object") {
      walk(schema.additionalProperties, value[name], [...path, name], root);
    }
  }
}

function is(type, value) {
  if (type === "integer") return Number.isInteger(value);
  return type === typeName(value);
}

export function typeName(value) {
  if (value === null) return "null";
  return Array.isArray(value) ? "array" : typeof value;
}

function wanted(schema) {
  if (schema.enum) return choice(schema.enum);
  return schema.type === undefined ? "a value" : bounded([schema.type].flat().join(" or "), schema);
}

function bounded(type, { minimum, maximum }) {
  if (minimum !== undefined && maximum !== undefined) return `${type} from ${minimum} to ${maximum}`;
  if (minimum !== undefined) return `${type} of at least ${minimum}`;
  return maximum !== undefined ? `${type} of at most ${maximum}` : type;
}

function choice(values) {
  const quoted = values.map((value) => `\`${typeof value === "string" ? value : JSON.stringify(value)}\``);
  return quoted.length < 3 ? quoted.join(" or ") : `one of ${quoted.join(", ")}`;
}

function same(a, b) {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}

function brief(value) {
  if (value !== null && typeof value === "object") return typeName(value);
  const text = [...JSON.stringify(value)];
  return text.length > 80 ? `${text.slice(0, 80).join("")}…` : text.join("");
}
