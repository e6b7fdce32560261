// Greets whoever writes, in their language, and remembers them for the rest of the session.

import { flow, log, reply, s, session } from "flowgate";

/** The payload, `data` of the request. What does not fit is refused with a 422 that names the field. */
const Input = s.object({
  name: s.string().describe("Who is greeted").optional(),
  language: s.oneOf("english", "german", "spanish").optional(),
});

/** What the flow is; the host shows it. */
export const description = { title: "__NAME__", description: "Greets whoever writes.", input: Input };

const GREETINGS = {
  english: ["Hello, *!", "Welcome back, *!"],
  german: ["Guten Tag, *!", "Willkommen zurück, *!"],
  spanish: ["¡Hola, *!", "¡Hola de nuevo, *!"],
};

export default flow((trigger) => {
  const { name, language = "english" } = trigger.input(Input);
  const visitor = trigger.sessionId ? remembered(name) : { name: name ?? "stranger", visits: 1 };
  log.info(`visit ${visitor.visits} of ${visitor.name}`);
  const greeting = GREETINGS[language][visitor.visits === 1 ? 0 : 1];
  return reply.json(visitor, { text: greeting.replace("*", visitor.name) });
});

function remembered(name) {
  return session.update("visitor", { name: "stranger", visits: 0 }, (visitor) => ({
    name: name ?? visitor.name,
    visits: visitor.visits + 1,
  }));
}
