//! What connections do beside sending one request again and again.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;
use tokio::time::Instant;

use crate::arrivals::Callbacks;
use crate::load::Exchange;
use crate::wire::Connection;

/// What a connection does again and again. Clones share the requests.
#[derive(Debug, Clone)]
pub enum Errand {
    /// The same request each time.
    Request(Bytes),
    /// Of these requests the ones in this order; each connection begins at another place of it.
    Mix(Arc<[Bytes]>, Arc<[u32]>),
    /// Each connection has a request of its own.
    Own(Arc<[Bytes]>),
    /// A request whose answer is a stream, until the first of it is there; the rest is read as well.
    Stream(Bytes),
    /// A request that is accepted, until its callback has come.
    Callback(Bytes, Callbacks),
}

/// How far the places lie apart at which connections begin a mix: a prime, so that they do not meet soon.
const APART: usize = 7_919;

impl Exchange for Errand {
    async fn exchange(&self, connection: &mut Connection, place: u32, turn: u32) -> io::Result<(u16, Instant)> {
        let (place, turn) = (place as usize, turn as usize);
        match self {
            Self::Request(request) => call(connection, request).await,
            Self::Mix(requests, order) => {
                let which = order[(place * APART + turn) % order.len()];
                call(connection, &requests[which as usize]).await
            }
            Self::Own(requests) => call(connection, &requests[place % requests.len()]).await,
            Self::Stream(request) => connection.follow(request).await,
            Self::Callback(request, callbacks) => {
                let answer = connection.call(request).await?;
                let accepted: Value = serde_json::from_slice(connection.body(&answer))?;
                let Some(execution) = accepted["execution_id"].as_str() else {
                    return Ok((answer.status, Instant::now()));
                };
                Ok((answer.status, callbacks.came(execution).await?))
            }
        }
    }
}

async fn call(connection: &mut Connection, request: &Bytes) -> io::Result<(u16, Instant)> {
    let answer = connection.call(request).await?;
    Ok((answer.status, Instant::now()))
}
