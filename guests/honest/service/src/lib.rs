//! An HTTP server as a component of `wasi:http@0.3`, with nothing of `flowgate:flow`: answers 200 with the request's line, its
//! `content-type` and its body, which it passes on as it comes.
#![cfg(target_family = "wasm")]

use exports::wasi::http::handler::Guest;
use wasi::http::types::{ErrorCode, Fields, Request, Response};
use wit_bindgen::spawn_local;

wit_bindgen::generate!({
    path: [
        "../../../wit/deps/wasi-clocks-0.3.0",
        "../../../wit/deps/wasi-random-0.3.0",
        "../../../wit/deps/wasi-filesystem-0.3.0",
        "../../../wit/deps/wasi-sockets-0.3.0",
        "../../../wit/deps/wasi-cli-0.3.0",
        "../../../wit/deps/wasi-http-0.3.0",
    ],
    inline: "package flowgate:guests; world server { export wasi:http/handler@0.3.0; }",
    world: "flowgate:guests/server",
    generate_all,
});

struct Server;

impl Guest for Server {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let target = request.get_path_with_query().unwrap_or_default();
        let line = format!("{:?} {target}\n", request.get_method());
        let kind = request.get_headers().get("content-type").into_iter().next().unwrap_or_default();
        let headers = Fields::new();
        headers.set("content-type", &[kind]).map_err(|error| ErrorCode::InternalError(Some(format!("{error:?}"))))?;
        let (_, processed) = wit_future::new(|| Ok(()));
        let (mut incoming, _trailers) = Request::consume_body(request, processed);
        let (mut body, contents) = wit_stream::new();
        let (trailers, no_trailers) = wit_future::new(|| Ok(None));
        spawn_local(async move {
            body.write_all(line.into_bytes()).await;
            loop {
                let (result, bytes) = incoming.read(Vec::with_capacity(4096)).await;
                if !body.write_all(bytes).await.is_empty() || result == wit_bindgen::StreamResult::Dropped {
                    break;
                }
            }
            drop(body);
            // Whoever reads trailers hears that there are none.
            let _ = trailers.write(Ok(None)).await;
        });
        let (response, _sent) = Response::new(headers, Some(contents), no_trailers);
        Ok(response)
    }
}

export!(Server);
