// Names for what takes time.

import spans from "flowgate:flow/spans@0.1.0";

/** Runs `work` in a span and returns what it returns; `work` gets a function that adds details to the span. */
export function span(name, work) {
  const open = new spans.Span(name);
  const end = (error) => open.end(error === undefined ? null : String(error?.message ?? error));
  const done = (value) => (end(), value);
  const failed = (error) => {
    end(error);
    throw error;
  };
  let result;
  try {
    result = work((key, value) => open.set(key, String(value)));
  } catch (error) {
    failed(error);
  }
  return typeof result?.then === "function" ? result.then(done, failed) : done(result);
}
