//! A mail server.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, mpsc};

use super::PATIENCE;

/// Takes mail by SMTP (RFC 5321), or turns it away first.
pub(crate) struct Postbox {
    pub(crate) url: String,
    turned_away: Arc<AtomicUsize>,
    away: Arc<AtomicUsize>,
    mails: Mutex<mpsc::Receiver<Mail>>,
}

/// What came.
#[derive(Debug, Default)]
pub(crate) struct Mail {
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    pub(crate) text: String,
}

impl Postbox {
    /// A server that is not ready for its first `away` connections.
    pub(crate) async fn start(away: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("smtp://{}", listener.local_addr().unwrap());
        let turned_away = Arc::new(AtomicUsize::new(0));
        let (sender, mails) = mpsc::channel(64);
        let away = Arc::new(AtomicUsize::new(away));
        let (count, until) = (turned_away.clone(), away.clone());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                if count.load(Ordering::SeqCst) < until.load(Ordering::SeqCst) {
                    count.fetch_add(1, Ordering::SeqCst);
                    let _ = stream.write_all(b"421 away\r\n").await;
                    continue;
                }
                let sender = sender.clone();
                tokio::spawn(async move { talk(stream, sender).await });
            }
        });
        Self { url, turned_away, away, mails: Mutex::new(mails) }
    }

    pub(crate) fn turned_away(&self) -> usize {
        self.turned_away.load(Ordering::SeqCst)
    }

    /// Takes mail from now on.
    pub(crate) fn open(&self) {
        self.away.store(0, Ordering::SeqCst);
    }

    /// The next mail.
    pub(crate) async fn next(&self) -> Mail {
        let next = async { self.mails.lock().await.recv().await };
        tokio::time::timeout(PATIENCE, next).await.expect("a mail comes").unwrap()
    }
}

/// One connection. Its end in the middle of a sentence is the sender's affair.
async fn talk(stream: TcpStream, mails: mpsc::Sender<Mail>) -> Option<()> {
    let mut stream = BufReader::new(stream);
    let mut mail = Mail::default();
    stream.write_all(b"220 postbox\r\n").await.ok()?;
    loop {
        let line = line(&mut stream).await?;
        let answer = match line.get(..4)?.to_ascii_uppercase().as_str() {
            "EHLO" | "HELO" => "250 postbox",
            "MAIL" => {
                mail.from = line;
                "250 ok"
            }
            "RCPT" => {
                mail.to.push(line);
                "250 ok"
            }
            "DATA" => {
                stream.write_all(b"354 go on\r\n").await.ok()?;
                mail.text = text(&mut stream).await?;
                mails.send(std::mem::take(&mut mail)).await.ok()?;
                "250 taken"
            }
            "QUIT" => "221 bye",
            _ => "502 unknown",
        };
        stream.write_all(format!("{answer}\r\n").as_bytes()).await.ok()?;
    }
}

async fn line(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = String::new();
    let n = stream.read_line(&mut line).await.ok()?;
    (n > 0).then(|| line.trim_end().to_owned())
}

async fn text(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut text = String::new();
    loop {
        let line = line(stream).await?;
        if line == "." {
            return Some(text);
        }
        text.push_str(&line);
        text.push('\n');
    }
}
