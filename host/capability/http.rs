//! `flowgate:flow/http`: a client for guests whose language brings none. Whole bodies in and out.

use std::time::Duration;

use futures_util::StreamExt as _;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use url::Url;
use wasmtime::component::{Accessor, HasSelf};

use super::outgoing::{Answer, Outgoing, Patience, Refused, Wanted};
use crate::bindings::v0_1::flow::flow_types::HeaderResult as Header;
use crate::bindings::v0_1::flow::http::{Error, Host, Request, Response};
use crate::bindings::v0_2::flow::http as v0_2;
use crate::egress::{Body, Kind};

#[derive(Clone)]
pub(super) struct Http {
    outgoing: Outgoing,
}

impl Http {
    pub(super) fn new(outgoing: Outgoing) -> Self {
        Self { outgoing }
    }

    async fn fetch(&self, request: Request) -> Result<Response, Error> {
        self.outgoing.check_body(&request.body)?;
        let answer = self.outgoing.send(wanted(request)?).await?;
        let Answer { status, headers, mut body } = answer;
        let mut whole = Vec::new();
        while let Some(piece) = body.next().await.transpose()? {
            whole.extend_from_slice(&piece);
        }
        let header = |(name, value): (&HeaderName, &HeaderValue)| Header {
            name: name.as_str().to_owned(),
            value: value.as_bytes().to_vec(),
        };
        Ok(Response { status: status.as_u16(), headers: headers.iter().map(header).collect(), body: whole })
    }
}

impl Host for Http {
    async fn fetch(&mut self, request: Request) -> wasmtime::Result<Result<Response, Error>> {
        Ok((*self).fetch(request).await)
    }
}

impl v0_2::Host for Http {}

impl<T: Send> v0_2::HostWithStore<T> for HasSelf<Http> {
    async fn fetch(
        store: &Accessor<T, Self>,
        request: v0_2::Request,
    ) -> wasmtime::Result<Result<v0_2::Response, v0_2::Error>> {
        let http = store.with(|mut store| store.get().clone());
        Ok(http.fetch(request.into()).await.map(Into::into).map_err(Into::into))
    }
}

fn wanted(request: Request) -> Result<Wanted, Error> {
    let method = Method::from_bytes(request.method.as_bytes());
    let method = method.map_err(|_| Error::Invalid(format!("`method` is `{}`, which is none", request.method)))?;
    let url = Url::parse(&request.url).map_err(|error| Error::Invalid(format!("`url` is not a URL: {error}")))?;
    let mut headers = HeaderMap::new();
    for (place, field) in request.headers.into_iter().enumerate() {
        let name = HeaderName::from_bytes(field.name.as_bytes());
        let name = name.map_err(|_| Error::Invalid(format!("`headers[{place}].name` is not the name of a header")))?;
        let value = HeaderValue::from_bytes(&field.value);
        let value =
            value.map_err(|_| Error::Invalid(format!("the value of the header `{name}` has a control character")))?;
        let added = headers.try_append(name, value);
        added.map_err(|_| Error::OverLimit("there are more headers than a request can have".to_owned()))?;
    }
    let patience = Patience { total: request.timeout_ms.map(Duration::from_millis), ..Patience::default() };
    Ok(Wanted { method, url, headers, body: Body::from(request.body), patience })
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::NotGranted(told) | Refused::Failed(Kind::Refused, told) => Self::NotGranted(told),
            Refused::Invalid(told) => Self::Invalid(told),
            Refused::Failed(_, told) => Self::Unreachable(told),
            Refused::Timeout => Self::Timeout,
            Refused::OverLimit(told) => Self::OverLimit(told),
        }
    }
}
