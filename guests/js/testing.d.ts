// The types of `flowgate/testing`.

import type { Flow } from "flowgate";

export interface TriggerMembers {
  message?: string;
  userId?: string;
  sessionId?: string;
  data?: unknown;
  metadata?: unknown;
  headers?: Record<string, string>;
  body?: string;
}

/** A trigger as the host gives it. */
export function trigger(members?: TriggerMembers): { executionId: string };
/** The trigger that a body makes on a native hook; `json` is its text. */
export function request(json: string): { executionId: string };

/** Runs a flow as the host does. Rejects with an error whose `failure` is what the host would get. */
export function run(
  flow: Flow,
  what?: TriggerMembers | { executionId: string } | string,
): Promise<{ text: string | null; data: any; raw: { status: number; headers: { name: string }[]; body: string } | null }>;

/** What the host in memory knows: set `config`, `secrets`, `http`, `flows` and `script` (what the model says next). */
export const memory: {
  config: Record<string, string>;
  secrets: Record<string, string>;
  http: null | ((request: { method: string; url: string }) => { status?: number; headers?: Record<string, string>; body?: string });
  flows: Record<string, (invocation: { flow: string; message: string | null; data: string }) => object>;
  requests: any[];
  script: (string | { text?: string; toolCalls?: { id?: string; name: string; arguments?: unknown }[]; error?: object })[];
};

/** Outputs of one kind: `said`, `progress`, `emitted`, `logged`, `span`, `started`. */
export function outputs(kind: string): any[];
/** Forgets everything. */
export function reset(): void;
