//! Keeps values by both drafts of `wasi:keyvalue`. `data`: `{"do": [["set", "key", "value"], …]}`; the reply's data has what came
//! of each, in order. The first draft is asked by `get`, `set`, `delete`, `exists`, `keys`, `add`, `get_many`, `set_many` and
//! `delete_many`, the second one by the same with a `2` behind it, and by `swap2`, which gives the old value.
#![cfg(target_family = "wasm")]

mod first {
    wit_bindgen::generate!({
        path: "../../../wit/deps/wasi-keyvalue-0.2.0-draft",
        world: "wasi:keyvalue/imports",
        generate_all,
    });
}

mod second {
    wit_bindgen::generate!({
        path: "../../../wit/deps/wasi-keyvalue-0.2.0-draft2",
        world: "wasi:keyvalue/imports",
        generate_all,
    });
}

use flowgate::{Reply, Result, Trigger};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Input {
    #[serde(default)]
    bucket: String,
    r#do: Vec<Vec<Value>>,
}

fn handle(trigger: Trigger) -> Result {
    let input: Input = trigger.data()?;
    let mut told = Vec::new();
    for act in &input.r#do {
        let words = act.iter().map(|word| word.as_str().unwrap_or_default()).collect::<Vec<_>>();
        let number = act.last().and_then(Value::as_i64).unwrap_or_default();
        let result = match words[0].strip_suffix('2') {
            None => by_first(&input.bucket, words[0], &words[1..], number),
            Some(name) => by_second(&input.bucket, name, &words[1..], number),
        };
        told.push(result.unwrap_or_else(|error| json!({ "error": error })));
    }
    Reply::json(&told)
}

flowgate::flow!(handle);

fn text(value: Option<Vec<u8>>) -> Value {
    value.map_or(Value::Null, |value| String::from_utf8_lossy(&value).into())
}

fn pairs(pairs: Vec<Option<(String, Vec<u8>)>>) -> Value {
    pairs.into_iter().map(|pair| pair.map_or(Value::Null, |(key, value)| json!([key, text(Some(value))]))).collect()
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn chunks(words: &[&str]) -> Vec<(String, Vec<u8>)> {
    words.chunks_exact(2).map(|pair| (pair[0].to_owned(), pair[1].as_bytes().to_vec())).collect()
}

fn by_first(name: &str, act: &str, words: &[&str], number: i64) -> std::result::Result<Value, String> {
    use first::wasi::keyvalue::{atomics, batch, store};
    let error = |error: store::Error| format!("{error:?}");
    let bucket = store::open(name).map_err(error)?;
    match act {
        "get" => bucket.get(words[0]).map(text),
        "set" => bucket.set(words[0], words[1].as_bytes()).map(Value::from),
        "delete" => bucket.delete(words[0]).map(Value::from),
        "exists" => bucket.exists(words[0]).map(Value::from),
        "add" => atomics::increment(&bucket, words[0], number.unsigned_abs()).map(Value::from),
        "get_many" => batch::get_many(&bucket, &owned(words)).map(pairs),
        "set_many" => batch::set_many(&bucket, &chunks(words)).map(Value::from),
        "delete_many" => batch::delete_many(&bucket, &owned(words)).map(Value::from),
        _ => {
            let (mut keys, mut cursor) = (Vec::new(), None);
            loop {
                let part = bucket.list_keys(cursor).map_err(error)?;
                keys.extend(part.keys);
                cursor = part.cursor;
                if cursor.is_none() {
                    break Ok(keys.into());
                }
            }
        }
    }
    .map_err(error)
}

fn by_second(name: &str, act: &str, words: &[&str], number: i64) -> std::result::Result<Value, String> {
    use second::wasi::keyvalue::{atomics, batch, store};
    let error = |error: store::Error| format!("{error:?}");
    let bucket = store::open(name).map_err(error)?;
    match act {
        "get" => bucket.get(words[0]).map(text),
        "set" => bucket.set(words[0], words[1].as_bytes()).map(Value::from),
        "delete" => bucket.delete(words[0]).map(Value::from),
        "exists" => bucket.exists(words[0]).map(Value::from),
        "add" => atomics::increment(&bucket, words[0], number).map(Value::from),
        "get_many" => batch::get_many(&bucket, &owned(words)).map(pairs),
        "set_many" => batch::set_many(&bucket, &chunks(words)).map(Value::from),
        "delete_many" => batch::delete_many(&bucket, &owned(words)).map(Value::from),
        "swap" => {
            let stale = atomics::Cas::new(&bucket, words[0]).map_err(error)?;
            let old = stale.current().map_err(error)?;
            // Another one comes first, so that the handle has to be renewed once.
            bucket.set(words[0], b"in between").map_err(error)?;
            let Err(atomics::CasError::CasFailed(newer)) = atomics::swap(stale, words[1].as_bytes()) else {
                return Err("a stale value was swapped".to_owned());
            };
            let between = newer.current().map_err(error)?;
            atomics::swap(newer, words[1].as_bytes()).map_err(|_| "the renewed handle failed".to_owned())?;
            Ok(json!([text(old), text(between)]))
        }
        _ => {
            let (mut keys, mut cursor) = (Vec::new(), None);
            loop {
                let part = bucket.list_keys(cursor.as_deref()).map_err(error)?;
                keys.extend(part.keys);
                cursor = part.cursor;
                if cursor.is_none() {
                    break Ok(keys.into());
                }
            }
        }
    }
    .map_err(error)
}
