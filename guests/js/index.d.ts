// The types of `flowgate`.

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

/** What happened and what is wanted of the flow. */
export interface Trigger {
  readonly executionId: string;
  readonly flow: string;
  /** The digest of the running version. */
  readonly version: string;
  readonly hook: string;
  /** The wire format of the hook, for example `native`. */
  readonly dialect: string;
  /** 1 for the first attempt; effects should be idempotent. */
  readonly attempt: number;
  readonly receivedAtMs: number;
  readonly deadlineMs: number;
  readonly message: string | null;
  readonly userId: string | null;
  readonly sessionId: string | null;
  /** The payload; `{}` when there is none. */
  readonly data: any;
  readonly metadata: any;
  readonly request: Request;
  /** The message, which the caller must have sent. */
  needMessage(): string;
  needUserId(): string;
  needSessionId(): string;
  /** The payload, if the schema allows it; else a 422 that names the field. */
  input<T>(schema: Schema<T>): T;
  input(schema: JsonSchema): any;
}

/** The HTTP request as it arrived, without its credentials. */
export interface Request {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly headers: { readonly name: string; readonly value: string }[];
  readonly body: Uint8Array;
  readonly peer: string;
  header(name: string): string | null;
  text(): string;
  json(): any;
}

export interface Flow {
  handle(wire: object): unknown;
}

/** Makes a flow of a function. It returns a `reply`, a string (a text), any other value (data), or nothing. */
export function flow(handle: (trigger: Trigger) => unknown): Flow;

/** What a module may export as `description`; the host shows it. */
export interface Description {
  title?: string;
  description?: string;
  input?: JsonSchema;
  output?: JsonSchema;
  /** What the flow would like to be granted. */
  hosts?: string[];
  secrets?: string[];
  models?: string[];
}

export type Headers = Record<string, string> | Iterable<[string, string]>;

export interface HttpReply {
  status?: number;
  headers?: Headers;
  body?: string | Uint8Array;
}

export interface Reply {
  readonly text: string | null;
  readonly data: unknown;
  readonly raw: HttpReply | null;
}

export const reply: {
  text(text: string): Reply;
  json(data: unknown, options?: { text?: string }): Reply;
  /** The whole HTTP response, where the hook's dialect allows it. */
  raw(response: HttpReply): Reply;
};

/** Ends the execution when it is thrown. */
export class Failure extends Error {
  /** Final. */
  static failed(message: string): Failure;
  /** Try again, after a time or when the hook's policy says. */
  static retry(message: string, options?: { afterMs?: number }): Failure;
  /** The caller's fault; becomes a 422 that names the field, a dotted path. */
  static invalid(field: string, expected: string, received: string): Failure;
  static missing(field: string, expected: string): Failure;
}

/** What the host answered instead of doing what it was asked. */
export class HostError extends Error {
  /** The interface, for example `session`. */
  readonly from: string;
  /** The case of its error, for example `not-granted`. */
  readonly code: string;
  readonly detail: any;
}

/** Says something now, before the reply. */
export function say(what: string | { text?: string; data?: unknown }): void;
/** Tells how far the work has come; `percent` is 0 to 100. */
export function progress(message: string, percent?: number): void;

export interface JsonSchema {
  readonly [keyword: string]: unknown;
}

/** A JSON Schema that knows the type of what it allows. */
export interface Schema<T> extends JsonSchema {
  describe(description: string): Schema<T>;
  optional(): Schema<T> & Optional;
  with(keywords: JsonSchema): Schema<T>;
  readonly "~type"?: T;
}

interface Optional {
  readonly "~optional": true;
}

type Members = Record<string, Schema<any>>;
type MaybeNames<P extends Members> = { [K in keyof P]: P[K] extends Optional ? K : never }[keyof P];

/** The type that a schema allows. */
export type Infer<S> = S extends Schema<infer T> ? T : never;

export const s: {
  /** The value, if the schema allows it; else throws a Failure that names the field, with `root` for the whole. */
  check<T>(schema: Schema<T>, value: unknown, root?: string): T;
  string(): Schema<string>;
  number(): Schema<number>;
  integer(): Schema<number>;
  boolean(): Schema<boolean>;
  any(): Schema<any>;
  oneOf<const T extends Json[]>(...values: T): Schema<T[number]>;
  array<T>(items: Schema<T>): Schema<T[]>;
  object<P extends Members>(
    properties?: P,
  ): Schema<{ [K in Exclude<keyof P, MaybeNames<P>>]: Infer<P[K]> } & { [K in MaybeNames<P>]?: Infer<P[K]> }>;
};

export interface Tool {
  readonly name: string;
  readonly description: string;
  readonly parameters: JsonSchema;
}

/** Makes a tool of a function of one object. */
export function tool<P extends Members>(tool: {
  name: string;
  description?: string;
  parameters?: P;
  run(input: Infer<ReturnType<typeof s.object<P>>>): unknown;
}): Tool;
export function tool(tool: { name: string; description?: string; parameters: JsonSchema; run(input: any): unknown }): Tool;

export interface Answer {
  text: string;
  reply: llm.Reply;
  /** What was said, from the user's message to the answer, with all calls of tools. */
  messages: llm.Message[];
  steps: number;
  usage: llm.Usage;
}

export interface AgentOptions extends Omit<llm.Request, "messages" | "tools"> {
  system?: string;
  tools?: Tool[];
  /** Calls of the model at most; 8 unless told. In the last one it can only answer. */
  maxSteps?: number;
  /** Messages of the session that the model is reminded of; 50 unless told. */
  history?: number;
}

/** Makes an agent, whose `run` calls tools until the model has an answer. */
export function agent(options: AgentOptions): {
  /** Answers a trigger's message within its session, or what is given. */
  run(input: Trigger | string | llm.Message | llm.Message[]): Promise<Answer>;
};

export interface Response {
  readonly url: string;
  readonly status: number;
  readonly ok: boolean;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Uint8Array;
  bytes(): Uint8Array;
  text(): string;
  json(): any;
}

/** Sends a request where the operator has granted it. `await` may stand before it or not. */
export function fetch(
  url: string | { toString(): string },
  init?: { method?: string; headers?: Headers; body?: string | Uint8Array; timeoutMs?: number },
): Response;

/** A secret in clear, for what a placeholder cannot do, such as signing. Needs a grant of its own. */
export function reveal(name: string): string;

/** Runs `work` in a span of this name; `set` adds details. */
export function span<T>(name: string, work: (set: (key: string, value: unknown) => void) => T): T;

export namespace config {
  function get(key: string): string | null;
  function get(key: string, fallback: string): string;
  function all(): Record<string, string>;
}

export namespace events {
  /** Tells subscribers of `custom.<name>` when the execution has ended. */
  function emit(name: string, data?: unknown): void;
}

export namespace flows {
  interface Invocation {
    message?: string;
    data?: unknown;
    sessionId?: string;
  }
  interface Result {
    text: string | null;
    data: any;
    raw: { status: number; headers: [string, string][]; body: Uint8Array } | null;
  }
  /** Runs another flow and waits. */
  function call(flow: string, what?: Invocation): Result;
  /** Starts an execution that runs on its own, and returns its id. */
  function start(flow: string, what?: Invocation): string;
}

export namespace keyvalue {
  interface Store {
    get<T = any>(key: string): T | undefined;
    set(key: string, value: unknown): void;
    remove(key: string): void;
    has(key: string): boolean;
    /** Adds to a number and returns the sum. */
    increment(key: string, by?: number): number;
    keys(): Iterable<string>;
    /** Writes what `change` makes of the value, again if another execution came between, and returns it. */
    update<T>(key: string, initial: T, change: (value: T) => T | void): T;
  }
  /** Opens a store of the flow's own, for all its executions. */
  function open(name?: string): Store;
}

export namespace llm {
  type Role = "system" | "user" | "assistant" | "tool";
  interface ToolCall {
    id: string;
    name: string;
    /** A JSON text. */
    arguments: string;
  }
  type Part =
    | string
    | { text: string }
    | { image: { mediaType: string; data: Uint8Array } }
    | { toolCall: ToolCall }
    | { toolResult: { id: string; content: string; isError?: boolean } };
  interface Message {
    role: Role;
    content: string | Part[];
  }
  interface Request {
    /** An alias that the operator granted. */
    model: string;
    messages: Message[];
    tools?: Tool[];
    toolChoice?: "auto" | "none" | "required" | { name: string };
    format?: "text" | "json" | { name: string; schema: JsonSchema };
    maxTokens?: number;
    temperature?: number;
    stop?: string[];
    seed?: number;
    /** Members to add to what the provider is sent. */
    extra?: object;
    /** Whether the text also goes to the flow's caller as it comes. */
    forward?: boolean;
  }
  interface Usage {
    inputTokens: number;
    outputTokens: number;
    cachedTokens: number;
    costMicroUsd: number | null;
  }
  interface Reply {
    model: string;
    text: string;
    toolCalls: ToolCall[];
    message: Message;
    finish: "stop" | "length" | "tool-calls" | "content-filter" | "other";
    usage: Usage;
  }
  function chat(request: Request): Reply;
  function stream(request: Request): Iterable<{ text?: string; toolCall?: ToolCall; done?: Reply }>;
  function embed(model: string, inputs: string[]): { vectors: ArrayLike<number>[]; usage: Usage };
  function models(): string[];
}

export namespace log {
  function trace(...what: unknown[]): void;
  function debug(...what: unknown[]): void;
  function info(...what: unknown[]): void;
  function warn(...what: unknown[]): void;
  function error(...what: unknown[]): void;
}

export namespace secrets {
  function exists(name: string): boolean;
  /** What stands for the secret in the headers of an outgoing request. */
  function placeholder(name: string): string;
}

export namespace session {
  interface Message {
    seq: number;
    atMs: number;
    role: "user" | "assistant" | "system" | "tool";
    text: string;
    data: any;
  }
  /** The last messages before this execution's own, oldest first; 50 unless told, 1,000 at most. */
  function messages(limit?: number, options?: { before?: number }): Message[];
  function append(role: Message["role"], text: string, data?: unknown): number;
  function get<T = any>(key: string): T | undefined;
  /** With its version, which is 0 when there is none. */
  function read<T = any>(key: string): { value: T | undefined; version: number };
  /** Returns the new version. With `expect`, only when the key is at this version; else a HostError `conflict`. */
  function set(key: string, value: unknown, options?: { expect?: number }): number;
  function remove(key: string): void;
  /** Writes what `change` makes of the value, again if another execution came between, and returns it. */
  function update<T>(key: string, initial: T, change: (value: T) => T | void): T;
}
