// Promises that can be waited for. A component's export must return before it ends, and nothing runs in it afterwards, so
// the engine's own promises would never settle. These keep their jobs in a queue that `Promise.wait` works off; the build
// makes generators of async functions, so that they use them too.

const jobs = [];
let next = 0;

class Settling {
  #state = "pending";
  #value;
  #waiting = [];

  constructor(executor) {
    const [resolve, reject] = this.#once();
    try {
      executor(resolve, reject);
    } catch (error) {
      reject(error);
    }
  }

  /** The two functions that settle it, of which only the first call counts. */
  #once() {
    let called = false;
    const first = (act) => (value) => {
      if (called) return;
      called = true;
      act(value);
    };
    return [first((value) => this.#resolve(value)), first((error) => this.#settle("rejected", error))];
  }

  #resolve(value) {
    if (value === this) return this.#settle("rejected", new TypeError("a promise cannot wait for itself"));
    let then;
    try {
      then = value !== null && (typeof value === "object" || typeof value === "function") ? value.then : undefined;
    } catch (error) {
      return this.#settle("rejected", error);
    }
    if (typeof then !== "function") return this.#settle("fulfilled", value);
    const [resolve, reject] = this.#once();
    jobs.push(() => {
      try {
        then.call(value, resolve, reject);
      } catch (error) {
        reject(error);
      }
    });
  }

  #settle(state, value) {
    [this.#state, this.#value] = [state, value];
    for (const wake of this.#waiting.splice(0)) jobs.push(wake);
  }

  then(fulfilled, rejected) {
    return new Settling((resolve, reject) => {
      const wake = () => {
        const ok = this.#state === "fulfilled";
        const handler = ok ? fulfilled : rejected;
        if (typeof handler !== "function") return ok ? resolve(this.#value) : reject(this.#value);
        try {
          resolve(handler(this.#value));
        } catch (error) {
          reject(error);
        }
      };
      if (this.#state === "pending") this.#waiting.push(wake);
      else jobs.push(wake);
    });
  }

  catch(rejected) {
    return this.then(undefined, rejected);
  }

  finally(done) {
    return this.then(
      (value) => Settling.resolve(done()).then(() => value),
      (error) => Settling.resolve(done()).then(() => Settling.reject(error)),
    );
  }

  static resolve(value) {
    return value instanceof Settling ? value : new Settling((resolve) => resolve(value));
  }

  static reject(error) {
    return new Settling((_, reject) => reject(error));
  }

  static withResolvers() {
    const parts = {};
    parts.promise = new Settling((resolve, reject) => Object.assign(parts, { resolve, reject }));
    return parts;
  }

  static all(values) {
    return gather(values, (done, fail, at) => [(value) => done(at, value), fail]);
  }

  static allSettled(values) {
    return gather(values, (done, _, at) => [
      (value) => done(at, { status: "fulfilled", value }),
      (reason) => done(at, { status: "rejected", reason }),
    ]);
  }

  static race(values) {
    return new Settling((resolve, reject) => {
      for (const value of values) Settling.resolve(value).then(resolve, reject);
    });
  }

  static any(values) {
    const all = [...values].map((value) => Settling.resolve(value).then((value) => Settling.reject({ value }), (error) => error));
    return Settling.all(all).then(
      (errors) => Settling.reject(new AggregateError(errors, "all promises were rejected")),
      ({ value }) => value,
    );
  }

  /** Works until nothing is left to do; returns the promise's value or throws its error. */
  static wait(promise) {
    const waited = Settling.resolve(promise);
    while (next < jobs.length) {
      jobs[next++]();
      // What is done makes room now and then, not one by one.
      if (next === 1024) jobs.splice(0, next), (next = 0);
    }
    if (waited.#state === "pending") {
      throw new Error("the flow waits for what never comes: there are no timers, and host calls return at once");
    }
    if (waited.#state === "rejected") throw waited.#value;
    return waited.#value;
  }

  get [Symbol.toStringTag]() {
    return "Promise";
  }
}

function gather(values, handlers) {
  return new Settling((resolve, reject) => {
    const results = [];
    let open = 1;
    const close = () => --open === 0 && resolve(results);
    const done = (at, value) => {
      results[at] = value;
      close();
    };
    let at = 0;
    for (const value of values) {
      open++;
      const [fulfilled, rejected] = handlers(done, reject, at++);
      Settling.resolve(value).then(fulfilled, rejected);
    }
    close();
  });
}

Object.defineProperty(Settling, "name", { value: "Promise" });

/** Runs a function after what is being done. */
export function enqueue(job) {
  jobs.push(job);
}

export { Settling as Promise };
