//! An HTTP server as a `wasi:http` component, with nothing of `flowgate:flow`: answers 200 with the request's line, its
//! `content-type` and its body.
#![cfg(target_family = "wasm")]

use exports::wasi::http::incoming_handler::Guest;
use wasi::http::types::{Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam};
use wasi::io::streams::{InputStream, StreamError};

wit_bindgen::generate!({
    path: [
        "../../../wit/deps/wasi-io-0.2.12",
        "../../../wit/deps/wasi-clocks-0.2.12",
        "../../../wit/deps/wasi-random-0.2.12",
        "../../../wit/deps/wasi-filesystem-0.2.12",
        "../../../wit/deps/wasi-sockets-0.2.12",
        "../../../wit/deps/wasi-cli-0.2.12",
        "../../../wit/deps/wasi-http-0.2.12",
    ],
    inline: "package flowgate:guests; world http-echo { export wasi:http/incoming-handler@0.2.12; }",
    world: "flowgate:guests/http-echo",
    generate_all,
});

struct HttpEcho;

impl Guest for HttpEcho {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let target = request.path_with_query().unwrap_or_default();
        let line = format!("{:?} {target}\n", request.method());
        let kind = request.headers().get("content-type").into_iter().next().unwrap_or_default();
        let body = [line.as_bytes(), &read(&request)].concat();

        let headers = Fields::new();
        headers.set("content-type", &[kind]).expect("the header is one that came in");
        headers.set("content-length", &[body.len().to_string().into_bytes()]).expect("the header is well formed");
        headers.set("x-guest", &[b"http_echo".to_vec()]).expect("the header is well formed");
        let response = OutgoingResponse::new(headers);
        let outgoing = response.body().expect("the body is taken once");
        ResponseOutparam::set(out, Ok(response));
        write(&outgoing, &body);
        OutgoingBody::finish(outgoing, None).expect("the body is whole");
    }
}

fn read(request: &IncomingRequest) -> Vec<u8> {
    let body = request.consume().expect("the body is taken once");
    let stream = body.stream().expect("the stream is taken once");
    let mut bytes = Vec::new();
    while let Some(mut chunk) = next(&stream) {
        bytes.append(&mut chunk);
    }
    bytes
}

fn next(stream: &InputStream) -> Option<Vec<u8>> {
    match stream.blocking_read(64 << 10) {
        Ok(chunk) => Some(chunk),
        Err(StreamError::Closed) => None,
        Err(StreamError::LastOperationFailed(error)) => panic!("{}", error.to_debug_string()),
    }
}

fn write(body: &OutgoingBody, bytes: &[u8]) {
    let stream = body.write().expect("the stream is taken once");
    for chunk in bytes.chunks(4096) {
        stream.blocking_write_and_flush(chunk).expect("somebody reads");
    }
}

export!(HttpEcho);
