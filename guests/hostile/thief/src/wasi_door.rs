//! The same requests by `wasi:http`.

use serde_json::Value;

use super::{Asked, shown};

use wasi::http::outgoing_handler::handle;
use wasi::http::types::{Fields, IncomingBody, Method, OutgoingBody, OutgoingRequest, RequestOptions, Scheme};
use wasi::io::streams::StreamError;

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
    inline: "package flowgate:guests; world wasi-door { import wasi:http/outgoing-handler@0.2.12; }",
    world: "flowgate:guests/wasi-door",
    generate_all,
});

pub(crate) fn ask(asked: &Asked) -> Result<Value, String> {
    let fields = asked.headers.iter().map(|(name, value)| (name.clone(), value.clone().into_bytes()));
    let fields = Fields::from_list(&fields.collect::<Vec<_>>()).map_err(|error| format!("{error:?}"))?;
    let request = OutgoingRequest::new(fields);
    let (scheme, rest) = asked.url.split_once("://").ok_or("no scheme")?;
    let at = rest.find('/').unwrap_or(rest.len());
    let method = Method::Other(asked.method.clone());
    request.set_method(&method).map_err(|()| "method")?;
    let scheme = if scheme == "http" { Scheme::Http } else { Scheme::Https };
    request.set_scheme(Some(&scheme)).map_err(|()| "scheme")?;
    request.set_authority(Some(&rest[..at])).map_err(|()| "authority")?;
    request.set_path_with_query(Some(&rest[at..])).map_err(|()| "path")?;
    let body = request.body().map_err(|()| "body")?;
    let options = asked.timeout_ms.map(patience).transpose()?;
    let answer = handle(request, options).map_err(|error| format!("{error:?}"))?;
    let stream = body.write().map_err(|()| "stream")?;
    for piece in asked.body.as_bytes().chunks(4096) {
        // Who does not listen has answered already.
        if stream.blocking_write_and_flush(piece).is_err() {
            break;
        }
    }
    drop(stream);
    let _ = OutgoingBody::finish(body, None);
    answer.subscribe().block();
    let answer = answer.get().ok_or("not ready")?.map_err(|()| "taken")?.map_err(|error| format!("{error:?}"))?;
    let headers = answer.headers().entries();
    let headers = headers.iter().map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value)));
    let body = whole(&answer.consume().map_err(|()| "consumed")?)?;
    Ok(shown(answer.status(), headers, &body))
}

fn patience(ms: u64) -> Result<RequestOptions, String> {
    let options = RequestOptions::new();
    options.set_first_byte_timeout(Some(ms * 1_000_000)).map_err(|()| "timeout")?;
    options.set_between_bytes_timeout(Some(ms * 1_000_000)).map_err(|()| "timeout")?;
    Ok(options)
}

fn whole(body: &IncomingBody) -> Result<Vec<u8>, String> {
    let stream = body.stream().map_err(|()| "stream")?;
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(64 << 10) {
            Ok(mut piece) => bytes.append(&mut piece),
            Err(StreamError::Closed) => return Ok(bytes),
            Err(StreamError::LastOperationFailed(error)) => return Err(error.to_debug_string()),
        }
    }
}
