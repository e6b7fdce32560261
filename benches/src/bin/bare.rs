//! The ceiling: a bare server on one thread that does what no webhook host can leave out. It reads the body, verifies the
//! proof over the raw bytes, parses the JSON and answers it.

use std::io::Write as _;
use std::sync::Arc;

use anyhow::Result;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{Router, post};
use axum::serve::ListenerExt as _;
use bytes::Bytes;
use clap::Parser;
use flowgate_benches::sample::{SIGNATURE, is_genuine};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// A bare HTTP server that answers signed JSON with the same JSON.
#[derive(Parser)]
struct Arguments {
    /// Where it listens.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: String,
    /// The key of the proof.
    #[arg(long)]
    key: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let listener = TcpListener::bind(&arguments.listen).await?;
    writeln!(std::io::stdout(), "listening on http://{}", listener.local_addr()?)?;
    let key: Arc<[u8]> = arguments.key.into_bytes().into();
    let router = Router::new().route("/", post(answer)).with_state(key);
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    Ok(axum::serve(listener, router).await?)
}

async fn answer(
    State(key): State<Arc<[u8]>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, (StatusCode, &'static str)> {
    let given = headers.get(SIGNATURE).map_or(&b""[..], |value| value.as_bytes());
    if !is_genuine(&key, &body, given) {
        return Err((StatusCode::UNAUTHORIZED, "the proof is not genuine"));
    }
    let value: Value = serde_json::from_slice(&body).map_err(|_| (StatusCode::BAD_REQUEST, "the body is not JSON"))?;
    Ok(Json(json!({ "status": "succeeded", "reply": { "data": value } })))
}
