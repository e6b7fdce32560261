//! Anthropic's format.

use serde_json::json;

use super::*;

const REPLY: &str = concat!(
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"claude-x\",\"usage\":{\"input_tokens\":20,\"cache_read_input_tokens\":100,\"cache_creation_input_tokens\":5,\"output_tokens\":1}}}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
    "event: ping\ndata: {\"type\":\"ping\"}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Grüße, \"}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"🦀!\"}}\n\n",
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"tool_use\",\"id\":\"t1\",\"name\":\"find\",\"input\":{}}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"\"}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"id\\\": \"}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"7}\"}}\n\n",
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":1}\n\n",
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\"},\"usage\":{\"output_tokens\":30}}\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
);

#[tokio::test]
async fn a_stream_is_the_same_however_it_is_cut() {
    let sizes = [1, 3, 50, usize::MAX];
    let fake = Fake::start(sizes.map(|size| events(REPLY, size))).await;
    let models = fake.models("anthropic");
    for _ in sizes {
        let (chunks, reply) = ask(&models, &asking("Where?")).await.unwrap();
        assert_eq!((texts(&chunks).as_str(), reply.text.as_str()), ("Grüße, 🦀!", "Grüße, 🦀!"));
        assert_eq!((reply.model.as_str(), reply.finish), ("claude-x", Finish::ToolCalls));
        assert_eq!(reply.usage, Usage { input_tokens: 125, output_tokens: 30, cached_tokens: 100 });
        assert_eq!(reply.calls, [ToolCall { id: "t1".into(), name: "find".into(), arguments: json!({"id": 7}) }]);
    }
}

#[tokio::test]
async fn a_request_is_in_its_words() {
    let fake = Fake::start([events(REPLY, usize::MAX)]).await;
    ask(&fake.models("anthropic"), &rich()).await.unwrap();
    let (head, body) = fake.seen().remove(0);
    assert!(head.starts_with("POST /v1/messages HTTP/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("x-api-key: {KEY}\r\n")) && head.contains("anthropic-version: 2023-06-01\r\n"));
    assert!(!head.contains("authorization"));
    assert_eq!(
        body,
        json!({
            "model": "big-1", "stream": true, "max_tokens": 50, "temperature": 0.5, "stop_sequences": ["END"],
            "user": "u1", "system": "Be kind.",
            "tools": [{"name": "find", "description": "Finds.", "input_schema": {"type": "object"}}],
            "tool_choice": {"type": "tool", "name": "find"},
            "messages": [
                {"role": "user", "content": [
                    {"type": "text", "text": "Where?"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
                ]},
                {"role": "assistant", "content": [
                    {"type": "text", "text": "I look."},
                    {"type": "tool_use", "id": "c1", "name": "find", "input": {"id": 7}},
                ]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "c1", "content": "none", "is_error": true},
                    {"type": "text", "text": "And?"},
                ]},
            ],
        })
    );
}

#[tokio::test]
async fn a_reply_of_a_given_shape_is_had_by_a_tool() {
    let shaped = REPLY.replace("\"find\"", "\"answer\"").replace("Grüße, ", "").replace("🦀!", "");
    let fake = Fake::start([events(&shaped, 9)]).await;
    let format = Format::Schema { name: "answer".into(), schema: json!({"type": "object", "required": ["id"]}) };
    let (chunks, reply) = ask(&fake.models("anthropic"), &Request { format, ..asking("x") }).await.unwrap();
    assert_eq!((reply.text.as_str(), texts(&chunks).as_str()), ("{\"id\": 7}", "{\"id\": 7}"));
    assert_eq!((reply.finish, reply.calls.len()), (Finish::Stop, 0));
    let body = &fake.seen()[0].1;
    assert_eq!(body["tool_choice"], json!({"type": "tool", "name": "answer"}));
    assert_eq!(body["tools"][0]["input_schema"]["required"], json!(["id"]));
}

#[tokio::test]
async fn what_it_has_not_is_said() {
    let fake = Fake::start([]).await;
    let models = fake.models("anthropic");
    let embedded = models.embed(models.find("fast").unwrap(), &["a".to_owned()]).await;
    assert!(matches!(embedded, Err(Error::Invalid(why)) if why.contains("no embeddings")));
}
