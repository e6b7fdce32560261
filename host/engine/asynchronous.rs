//! Flows of `flowgate:flow@0.2`: the guest runs within the event loop of its store, many of its calls under way at one time.

use wasmtime::AsContextMut as _;

use crate::bindings::About;
use crate::bindings::v0_2::{self, FlowPre};
use crate::capability::Ctx;
use crate::trigger::Trigger;

use super::run::End;
use super::{Stop, parts, reply};

/// Runs the guest until its reply is whole. What it still does then is not waited for.
pub(super) async fn call(
    store: &mut wasmtime::Store<Ctx>,
    flow: &FlowPre<Ctx>,
    trigger: &Trigger,
    about: About<'_>,
    reply_bytes_max: usize,
) -> Result<End, Stop> {
    let flow = flow.instantiate_async(&mut *store).await?;
    let run = store.run_concurrent(async |store| {
        let mut begun = match v0_2::handle(&flow, store, trigger, about).await?? {
            Ok(begun) => begun,
            Err(failure) => return reply::check_failure(&failure, reply_bytes_max).map(|()| End::Failure(failure)),
        };
        if let Some(stream) = begun.stream {
            let first = begun.reply.text.take();
            let text =
                store.with(|mut store| parts::collect(store.as_context_mut(), first, stream, reply_bytes_max))?;
            let text = text.await.map_err(|_| Stop::Host("the reply's stream was lost".to_owned()))?;
            begun.reply.text = Some(text);
        }
        reply::check(&begun.reply, reply_bytes_max).map(|()| End::Reply(begun.reply))
    });
    run.await?
}
