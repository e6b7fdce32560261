// Why a flow gives no reply, and the way there from whatever was thrown.

/** Ends the execution when it is thrown; `wire` is what the host gets of it. */
export class Failure extends Error {
  constructor(wire, message) {
    super(message);
    this.name = "Failure";
    this.wire = wire;
  }

  static failed(message) {
    return new Failure({ tag: "failed", val: message }, message);
  }

  static retry(message, { afterMs = null } = {}) {
    return new Failure({ tag: "retry", val: { afterMs, message } }, message);
  }

  static invalid(field, expected, received) {
    const message = `Field '${field}' is wrong: expected ${expected}, received ${received}`;
    return new Failure({ tag: "invalid-input", val: { field, expected, received, message } }, message);
  }

  static missing(field, expected) {
    const message = `Required field '${field}' is missing`;
    return new Failure({ tag: "invalid-input", val: { field, expected, received: "null", message } }, message);
  }
}

/** What the host answered instead of doing what it was asked: `code` is the case of the interface's error. */
export class HostError extends Error {
  constructor(from, code, detail) {
    super(`${from}: ${code.replaceAll("-", " ")}${detail === null ? "" : `: ${told(detail)}`}`);
    this.name = "HostError";
    this.from = from;
    this.code = code;
    this.detail = detail;
  }
}

/** Calls the host; the error case that it throws becomes a HostError. */
export function ask(from, call) {
  try {
    return call();
  } catch (error) {
    // The engine puts the case into an Error of its own.
    const { payload } = error;
    if (payload === undefined) throw error;
    throw typeof payload === "string" ? new HostError(from, payload, null) : new HostError(from, payload.tag, payload.val ?? null);
  }
}

/** The failure that a thrown value stands for. */
export function toFailure(error) {
  if (error instanceof Failure) return error;
  if (error instanceof HostError) {
    const { code, detail, message } = error;
    if (code === "no-session") return Failure.missing("session_id", "string");
    if (code === "rate-limited") return Failure.retry(message, { afterMs: detail });
    if (["unavailable", "conflict", "busy"].includes(code)) return Failure.retry(message);
    return Failure.failed(message);
  }
  return Failure.failed(error instanceof Error && error.name === "Error" ? error.message : String(error));
}

function told(detail) {
  return typeof detail === "object" ? JSON.stringify(detail) : String(detail);
}
