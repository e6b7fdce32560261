//! Cases that a version has to pass on the server itself, before its users get it.

use std::path::Path;

use anyhow::{Context as _, bail};
use http::Method;
use serde_json::json;

use super::super::out::{Out, lines};
use super::super::remote::Remote;
use super::super::talk::Talk;
use crate::project::case::Case;

/// The alias that stands for the version meanwhile, and afterwards for the last one that was tried.
const ALIAS: &str = "smoke";

/// Reads a case that says nothing of what only `flowgate test` can do.
pub(super) fn read(path: &Path) -> anyhow::Result<(String, Case)> {
    let case = Case::read(path)?;
    let name = path.display().to_string();
    let own = [case.http.is_empty(), case.config.is_empty(), case.models.is_empty(), case.secrets.is_empty()];
    if own.contains(&false) {
        bail!(
            "{name}: on a server the flow has its real configuration, secrets, models and requests, so a case for `--smoke` \
             has neither `config` nor `secrets` nor `models` nor `http`"
        );
    }
    Ok((name, case))
}

/// Lets a hook, which nobody else knows and which goes again, give the cases to the version.
pub(super) async fn test(
    cases: &[(String, Case)],
    flow: &str,
    digest: &str,
    remote: &Remote,
    out: Out,
) -> anyhow::Result<()> {
    remote.send(Method::PUT, &["v1", "flows", flow, "aliases", ALIAS], &json!({ "version": digest })).await?;
    let mut failed = 0;
    for (name, case) in cases {
        let own = format!("smoke-{:016x}", rand::random::<u64>());
        // The id of the hook is the secret: it is made for this case, and gone after it.
        let spec = json!({
            "name": own, "flow": flow, "alias": ALIAS, "dialect": case.dialect, "auth": [{ "scheme": "none" }],
            "deduplicate": "off",
        });
        let hook = remote.send(Method::POST, &["v1", "hooks"], &spec).await?;
        let held = Talk { case, hook: &hook, remote, sessions: &format!("{own}-") }.hold().await;
        remote.act(Method::DELETE, &["v1", "hooks", &own]).await?;
        let faults = held.with_context(|| name.clone())?;
        let told = faults.iter().map(|fault| format!("\n       {}", lines(fault).replace('\n', "\n       ")));
        let mark = if faults.is_empty() { "ok  " } else { "FAIL" };
        out.done(format_args!("{mark}  smoke {name}{}", told.collect::<String>()))?;
        failed += usize::from(!faults.is_empty());
        if out.is_json() && !faults.is_empty() {
            out.hint(format_args!("{name}: {faults:?}"))?;
        }
    }
    if failed > 0 {
        bail!("{failed} of {} smoke tests failed", cases.len());
    }
    Ok(())
}
