//! The secrets that flows use.

use zeroize::Zeroizing;

use super::{Error, Registry};
use crate::capability::{SECRET_CHARS_MAX, SECRET_CHARS_MIN, SECRETS_MAX, Secrets, check_secret_name};
use crate::id::FlowId;
use crate::store::{self, Flow, FlowSecret};

impl Registry {
    /// The flow's secrets by name, without their values.
    pub async fn secrets(&self, flow: &Flow) -> Result<Vec<FlowSecret>, Error> {
        Ok(self.0.store.flow_secrets(flow.id).await?)
    }

    /// Sets a secret, from the flow's next execution on. [`Error::InUse`] when the flow has as many as it may have.
    pub async fn set_secret(&self, flow: &Flow, name: &str, value: Zeroizing<String>) -> Result<FlowSecret, Error> {
        check_secret_name(name).map_err(|message| Error::BadSecret { field: "name", message })?;
        check_value(&value).map_err(|message| Error::BadSecret { field: "value", message })?;
        let secret = FlowSecret { name: name.to_owned(), updated_at: self.0.clock.now() };
        let value = Zeroizing::new(value.as_bytes().to_vec());
        let set = self.0.store.flow_secret_set(flow.id, secret.clone(), value, SECRETS_MAX).await?;
        self.forget(flow.id);
        if set { Ok(secret) } else { Err(Error::UnknownFlow(flow.name.clone())) }
    }

    /// Removes a secret, from the flow's next execution on.
    pub async fn remove_secret(&self, flow: &Flow, name: &str) -> Result<(), Error> {
        let found = self.0.store.flow_secret_remove(flow.id, name).await?;
        self.forget(flow.id);
        if found { Ok(()) } else { Err(Error::UnknownSecret(name.to_owned())) }
    }

    pub(super) async fn open_secrets(&self, flow: FlowId) -> Result<Secrets, Error> {
        let opened = self.0.store.flow_secrets_open(flow).await?.into_iter().map(|(name, value)| {
            let value = std::str::from_utf8(&value).map_err(|_| store::Error::Corrupt("secret"))?;
            Ok((name, Zeroizing::new(value.to_owned())))
        });
        Ok(Secrets::new(opened.collect::<Result<_, store::Error>>()?))
    }
}

/// A secret travels in headers and is looked for in what leaves, so it is text of some length. The error does not repeat it.
fn check_value(value: &str) -> Result<(), String> {
    let chars = value.chars().count();
    if !(SECRET_CHARS_MIN..=SECRET_CHARS_MAX).contains(&chars) {
        return Err(format!("has {chars} characters; allowed: {SECRET_CHARS_MIN} to {SECRET_CHARS_MAX}"));
    }
    let blank = |c: char| c <= ' ' || c == '\u{7f}';
    if value.starts_with(blank) || value.ends_with(blank) {
        return Err("begins or ends with white space, which a header would lose".to_owned());
    }
    if value.contains('\0') {
        return Err("has a NUL character".to_owned());
    }
    Ok(())
}
