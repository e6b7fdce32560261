//! What answers a flow's requests in a test, and its secrets there.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::http::{Error, Request, Response};
use crate::{Header, secrets};

thread_local! {
    static CLIENT: RefCell<Client> = RefCell::default();
}

#[derive(Default)]
struct Client {
    answers: BTreeMap<(String, String), Result<Response, Error>>,
    secrets: BTreeMap<String, String>,
    sent: Vec<Sent>,
}

/// A request that a flow has sent, its secrets filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// `GET`, …
    pub method: String,
    /// Absolute.
    pub url: String,
    /// In order.
    pub headers: Vec<Header>,
    /// All of it.
    pub body: Vec<u8>,
}

impl Sent {
    /// The value of the first header called `name`, in any case, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let field = self.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(&field.value).ok()
    }
}

/// Says what comes of requests with this method and URL from now on. What nothing is said of is not granted.
pub fn set_answer(method: &str, url: &str, answer: Result<Response, Error>) {
    CLIENT.with_borrow_mut(|client| client.answers.insert((method.to_owned(), url.to_owned()), answer));
}

/// Sets a secret, which is granted for everything.
pub fn set_secret(name: &str, value: &str) {
    CLIENT.with_borrow_mut(|client| client.secrets.insert(name.to_owned(), value.to_owned()));
}

/// What was sent on this thread since the last call.
pub fn take_requests() -> Vec<Sent> {
    CLIENT.with_borrow_mut(|client| std::mem::take(&mut client.sent))
}

pub(crate) fn fetch(request: Request) -> Result<Response, Error> {
    CLIENT.with_borrow_mut(|client| {
        let Request { method, url, mut headers, body, .. } = request;
        let body = body.map_err(Error::Invalid)?;
        for (name, secret) in &client.secrets {
            for field in &mut headers {
                if let Ok(text) = std::str::from_utf8(&field.value) {
                    field.value = text.replace(&placeholder(name), secret).into_bytes();
                }
            }
        }
        let answer = client.answers.get(&(method.clone(), url.clone())).cloned();
        let told = || Error::NotGranted(format!("the test says nothing of {method} {url}: testing::set_answer"));
        let answer = answer.ok_or_else(told);
        client.sent.push(Sent { method, url, headers, body });
        answer?
    })
}

pub(crate) fn secret_exists(name: &str) -> Result<bool, secrets::Error> {
    Ok(CLIENT.with_borrow(|client| client.secrets.contains_key(name)))
}

pub(crate) fn secret_placeholder(name: &str) -> Result<String, secrets::Error> {
    secret_reveal(name).map(|_| placeholder(name))
}

pub(crate) fn secret_reveal(name: &str) -> Result<String, secrets::Error> {
    let found = CLIENT.with_borrow(|client| client.secrets.get(name).cloned());
    found.ok_or_else(|| secrets::Error::Unknown(name.to_owned()))
}

fn placeholder(name: &str) -> String {
    format!("placeholder-of-{name}.")
}
