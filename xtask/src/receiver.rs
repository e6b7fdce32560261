//! A receiver of callbacks, for the demo: answers 204 and hands over what came.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use anyhow::{Context as _, Result};

/// One delivery.
pub(crate) struct Delivery {
    /// As they came, one a line.
    pub(crate) headers: String,
    pub(crate) body: Vec<u8>,
}

/// Listens on a free port of this machine, and returns the URL and what comes there.
pub(crate) fn start() -> Result<(String, Receiver<Delivery>)> {
    let listener = TcpListener::bind("127.0.0.1:0").context("no port for the receiver")?;
    let url = format!("http://{}/callback", listener.local_addr()?);
    let (came, deliveries) = sync_channel(16);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let came = came.clone();
            std::thread::spawn(move || receive(stream, &came));
        }
    });
    Ok((url, deliveries))
}

/// Serves the requests of one connection until it is closed.
fn receive(stream: TcpStream, came: &SyncSender<Delivery>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut writer = stream;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let mut headers = String::new();
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().ok()?;
            }
            headers.push_str(&format!("{name}: {}\n", value.trim()));
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        writer.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").ok()?;
        came.send(Delivery { headers, body }).ok()?;
    }
}
