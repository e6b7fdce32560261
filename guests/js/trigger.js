// What a flow receives.

import { Failure } from "./failure.js";
import { check } from "./schema.js";
import { text } from "./utf8.js";

export class Trigger {
  constructor(wire) {
    const { data, metadata, request, ...rest } = wire;
    Object.assign(this, rest);
    this.data = parsed(data, "data");
    this.metadata = parsed(metadata, "metadata");
    this.request = new Request(request);
  }

  /** The message, which the caller must have sent. */
  needMessage() {
    return needed("message", this.message);
  }

  /** The user's id, which the caller must have sent. */
  needUserId() {
    return needed("user_id", this.userId);
  }

  /** The session's id, which the caller must have sent. */
  needSessionId() {
    return needed("session_id", this.sessionId);
  }

  /** The payload, if the schema allows it; else a 422 that names the field. */
  input(schema) {
    return check(schema, this.data, "data");
  }
}

export class Request {
  constructor({ headers, ...rest }) {
    Object.assign(this, rest);
    this.headers = headers.map(({ name, value }) => ({ name, value: text(value) }));
  }

  /** The value of the first header of this name, in any case; null when there is none. */
  header(name) {
    return this.headers.find((header) => header.name === name.toLowerCase())?.value ?? null;
  }

  /** The body as text. */
  text() {
    return text(this.body);
  }

  /** The body as JSON. */
  json() {
    return parsed(this.text(), "body");
  }
}

function needed(field, value) {
  if (value === null || value === undefined) throw Failure.missing(field, "string");
  return value;
}

function parsed(json, field) {
  try {
    return JSON.parse(json);
  } catch {
    throw Failure.invalid(field, "JSON", "something else");
  }
}
