// `/poll Lunch? | Pizza | Sushi` in Slack: shows the question to the channel, with a button for each choice.

import { flow, reply } from "flowgate";

const CHOICES_MAX = 5;
const HELP = "Ask like this: `/poll Lunch? | Pizza | Sushi`, with two to five choices.";

export default flow((trigger) => {
  // Slack sends a form: https://docs.slack.dev/interactivity/implementing-slash-commands
  const form = new URLSearchParams(trigger.request.text());
  const text = form.get("text") ?? "";
  const [question = "", ...choices] = text.split("|").map((part) => part.trim());
  const unique = [...new Set(choices.filter(Boolean))];
  if (question === "" || unique.length < 2 || unique.length > CHOICES_MAX) {
    return slack({ response_type: "ephemeral", text: HELP });
  }
  const asker = form.get("user_id") ?? "somebody";
  return slack({
    response_type: "in_channel",
    text: `${plain(question)} (${unique.map(plain).join(", ")})`,
    blocks: [
      { type: "section", text: { type: "mrkdwn", text: `*${plain(question)}*\nasked by <@${plain(asker)}>` } },
      { type: "actions", elements: unique.map(button) },
    ],
  });
});

function button(choice: string, at: number) {
  return { type: "button", action_id: `choice_${at}`, value: choice, text: { type: "plain_text", text: choice } };
}

/** What Slack takes for markup is escaped: https://docs.slack.dev/messaging/formatting-message-text */
function plain(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

function slack(message: object) {
  return reply.raw({ headers: { "content-type": "application/json" }, body: JSON.stringify(message) });
}
