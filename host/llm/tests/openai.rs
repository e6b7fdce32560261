//! OpenAI's format.

use serde_json::json;

use super::*;

const REPLY: &str = concat!(
    "data: {\"id\":\"1\",\"model\":\"big-1-2026\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n",
    "data: {\"choices\":[{\"delta\":{\"content\":\"Grüße, \"}}],\"usage\":null}\n\n",
    ": a comment\n\n",
    "data: {\"choices\":[{\"delta\":{\"content\":\"🦀!\"}}]}\r\n\r\n",
    "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"find\",\"arguments\":\"\"}}]}}]}\n\n",
    "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\\\"id\\\"\"}}]}}]}\n\n",
    "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\": 7}\"}}]}}]}\n\n",
    "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":1,\"id\":\"c2\",\"function\":{\"name\":\"list\",\"arguments\":\"\"}}]}}]}\n\n",
    "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\n",
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":120,\"completion_tokens\":30,\"prompt_tokens_details\":{\"cached_tokens\":100}}}\n\n",
    "data: [DONE]\n\n",
);

#[tokio::test]
async fn a_stream_is_the_same_however_it_is_cut() {
    let sizes = [1, 2, 7, 61, usize::MAX];
    let fake = Fake::start(sizes.map(|size| events(REPLY, size))).await;
    let models = fake.models("openai");
    for size in sizes {
        let (chunks, reply) = ask(&models, &asking("Where?")).await.unwrap();
        assert_eq!((texts(&chunks).as_str(), reply.text.as_str()), ("Grüße, 🦀!", "Grüße, 🦀!"), "{size}");
        assert_eq!((reply.model.as_str(), reply.finish), ("big-1-2026", Finish::ToolCalls));
        assert_eq!(reply.usage, Usage { input_tokens: 120, output_tokens: 30, cached_tokens: 100 });
        let calls = [("c1", "find", json!({"id": 7})), ("c2", "list", json!({}))];
        let calls = calls.map(|(id, name, arguments)| ToolCall { id: id.into(), name: name.into(), arguments });
        assert_eq!(reply.calls, calls);
        assert_eq!(chunks[2..], calls.map(Chunk::ToolCall));
    }
}

#[tokio::test]
async fn a_request_is_in_its_words() {
    let fake = Fake::start([events(REPLY, usize::MAX)]).await;
    ask(&fake.models("openai"), &rich()).await.unwrap();
    let (head, body) = fake.seen().remove(0);
    assert!(head.starts_with("POST /v1/chat/completions HTTP/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("authorization: Bearer {KEY}\r\n")), "{head}");
    assert_eq!(
        body,
        json!({
            "model": "big-1", "stream": true, "stream_options": {"include_usage": true}, "max_tokens": 50,
            "temperature": 0.5, "seed": 3, "stop": ["END"], "user": "u1",
            "tools": [{"type": "function", "function": {
                "name": "find", "description": "Finds.", "parameters": {"type": "object"},
            }}],
            "tool_choice": {"type": "function", "function": {"name": "find"}},
            "messages": [
                {"role": "system", "content": "Be kind."},
                {"role": "user", "content": [
                    {"type": "text", "text": "Where?"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                ]},
                {"role": "assistant", "content": "I look.", "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "find", "arguments": "{\"id\":7}"}},
                ]},
                {"role": "tool", "tool_call_id": "c1", "content": "error: none"},
                {"role": "user", "content": "And?"},
            ],
        })
    );
}

#[tokio::test]
async fn a_schema_goes_as_response_format() {
    let schemas = [json!({"type": "object"}), json!({"type": "object", "additionalProperties": false})];
    let fake = Fake::start(schemas.each_ref().map(|_| events(REPLY, usize::MAX))).await;
    let models = fake.models("openai");
    for (n, schema) in schemas.into_iter().enumerate() {
        let format = Format::Schema { name: "answer".into(), schema: schema.clone() };
        ask(&models, &Request { format, ..asking("x") }).await.unwrap();
        let wanted = json!({"name": "answer", "schema": schema, "strict": n == 1});
        assert_eq!(fake.seen()[n].1["response_format"], json!({"type": "json_schema", "json_schema": wanted}));
    }
}

#[tokio::test]
async fn a_server_that_does_not_stream_is_understood() {
    let whole = json!({
        "model": "llama", "usage": {"prompt_tokens": 3, "completion_tokens": 2},
        "choices": [{"finish_reason": "stop", "message": {"content": "Yes.", "tool_calls": [
            {"function": {"name": "find", "arguments": {"id": 7}}},
        ]}}],
    });
    let fake = Fake::start([status(200, "", &whole.to_string())]).await;
    let (chunks, reply) = ask(&fake.models("ollama"), &asking("x")).await.unwrap();
    assert_eq!((texts(&chunks).as_str(), reply.usage.input_tokens), ("Yes.", 3));
    assert_eq!((reply.finish, reply.calls[0].arguments["id"].as_i64()), (Finish::ToolCalls, Some(7)));
}

#[tokio::test]
async fn what_is_not_counted_is_estimated() {
    let body = "data: {\"choices\":[{\"delta\":{\"content\":\"123456\"},\"finish_reason\":\"stop\"}]}\n\n";
    let fake = Fake::start([events(body, usize::MAX)]).await;
    let (_, reply) = ask(&fake.models("openai"), &asking("123")).await.unwrap();
    assert_eq!((reply.usage.input_tokens, reply.usage.output_tokens), (9, 2));
}

#[tokio::test]
async fn embeddings_come_in_the_order_of_their_texts() {
    let answer = json!({
        "data": [{"index": 1, "embedding": [0.5, 1]}, {"index": 0, "embedding": [2, 3.5]}],
        "usage": {"prompt_tokens": 9},
    });
    let fake = Fake::start([status(200, "", &answer.to_string()), status(200, "", "{\"data\": []}")]).await;
    let models = fake.models("openai");
    let fast = models.find("fast").unwrap();
    let inputs = ["a".to_owned(), "b".to_owned()];
    let (vectors, usage) = models.embed(fast, &inputs).await.unwrap();
    assert_eq!((vectors, usage.input_tokens), (vec![vec![2.0, 3.5], vec![0.5, 1.0]], 9));
    assert_eq!(fake.seen()[0].1, json!({"model": "big-1", "input": ["a", "b"]}));
    assert!(matches!(models.embed(fast, &inputs).await, Err(Error::Provider(_))));
}
