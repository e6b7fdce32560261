//! Replies with data that is no JSON.

use flowgate::{Reply, Result, Trigger};

fn handle(_: Trigger) -> Result {
    Ok(Reply { text: None, data: Some("{\"unfinished\": ".to_owned()), raw: None })
}

flowgate::flow!(handle);
