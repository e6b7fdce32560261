//! The cases are in `tests/fixtures/filter.json`: a filter, what fits it, and what does not and why.

use serde_json::{Value, json};

use super::{Filter, Projection};

fn parse(case: &Value) -> Result<Filter, super::Invalid> {
    case.get("filter").map_or_else(|| Filter::parse_bare(&case["bare"]), Filter::parse)
}

#[test]
fn filters_say_yes_and_no_and_why() {
    let cases = include_str!("../../tests/fixtures/filter.json");
    for case in serde_json::from_str::<Vec<Value>>(cases).unwrap() {
        let filter = parse(&case);
        if let Some(invalid) = case["invalid"].as_str() {
            assert_eq!(filter.unwrap_err().to_string(), invalid);
            continue;
        }
        let filter = filter.unwrap_or_else(|error| panic!("{case}: {error}"));
        for value in case["fits"].as_array().unwrap() {
            assert_eq!(filter.check(value), Ok(()), "{filter:?} fits {value}");
        }
        for fail in case["fails"].as_array().unwrap() {
            let why = filter.check(&fail[0]).expect_err(&format!("{filter:?} does not fit {}", fail[0]));
            assert_eq!(Value::String(why.to_string()), fail[1], "{filter:?} for {}", fail[0]);
        }
    }
}

#[test]
fn a_filter_is_kept_as_it_was_written() {
    let source = json!({ "a": { "$gt": 1 }, "$or": [{ "b": [1] }] });
    let filter = serde_json::from_value::<Filter>(source.clone()).unwrap();
    assert_eq!(serde_json::to_value(&filter).unwrap(), source);
    assert_eq!(filter, Filter::parse(&source).unwrap());
    assert!(serde_json::from_value::<Filter>(json!([source])).is_err(), "only an object is written by a customer");
}

#[test]
fn a_filter_is_bounded_in_depth_length_and_number() {
    let mut deep = json!(1);
    for _ in 0..13 {
        deep = json!({ "a": deep });
    }
    let many = json!({ "$or": vec![json!({ "a": 1 }); 300] });
    let patterns = json!({ "$or": vec![json!({ "a": { "$regex": "a" } }); 17] });
    let pattern = json!({ "a": { "$regex": r"\w{1000}" } });
    let long = json!({ "a": "x".repeat(20_000) });
    for (filter, message) in [
        (deep, "lies deeper than 12 levels"),
        (many, "is too much: a filter has at most 512 conditions, a pattern counting 32"),
        (patterns, "is too much: a filter has at most 512 conditions, a pattern counting 32"),
        (pattern, "is no pattern: Compiled regex exceeds size limit of 131072 bytes."),
        (long, "is 20008 bytes of JSON; allowed: 16384"),
    ] {
        assert_eq!(Filter::parse(&filter).unwrap_err().message, message);
    }
}

#[test]
fn a_value_that_takes_too_long_fits_neither_a_filter_nor_its_negation() {
    let some = json!({ "a": { "$in": (0..100).collect::<Vec<_>>() } });
    let large = json!({ "a": vec![-1; 20_000] });
    for filter in [some.clone(), json!({ "$not": some })] {
        let why = Filter::parse(&filter).unwrap().check(&large).unwrap_err();
        assert_eq!(why.to_string(), "the value is too large for this filter, not checkable in bounded time");
    }
}

#[test]
fn what_was_found_can_be_left_out_of_a_reason() {
    let why = Filter::parse(&json!({ "a": 1 })).unwrap().check(&json!({ "a": "content" })).unwrap_err();
    assert_eq!(why.without_content().to_string(), "`a` is otherwise, not 1");
    let long = Filter::parse(&json!({ "a": 1 })).unwrap().check(&json!({ "a": "ä".repeat(500) })).unwrap_err();
    assert_eq!(long.found.chars().count(), 81);
}

#[test]
fn a_projection_keeps_the_nesting() {
    let value = json!({
        "workflow_id": "wf_1", "status": "success", "credits_used": 4.5, "steps_completed": 5,
        "output_data": { "order_id": 7, "secret": 1 }, "dotted.name": 1,
        "lines": [{ "sku": "a", "qty": 1 }, { "qty": 2 }, { "sku": "c" }],
    });
    for (paths, kept) in [
        (
            &["workflow_id", "status", "output_data.order_id", "credits_used"][..],
            json!({ "workflow_id": "wf_1", "status": "success", "output_data": { "order_id": 7 }, "credits_used": 4.5 }),
        ),
        (&["lines.sku"], json!({ "lines": [{ "sku": "a" }, { "sku": "c" }] })),
        (&["output_data", "output_data.order_id"], json!({ "output_data": { "order_id": 7, "secret": 1 } })),
        (&["dotted.name"], json!({ "dotted.name": 1 })),
        (&["gone", "status.more", "output_data.gone"], json!({})),
    ] {
        let projection = Projection::parse(paths.iter().map(|&path| path.to_owned()).collect()).unwrap();
        assert_eq!(projection.of(&value), kept, "{paths:?}");
    }
}

#[test]
fn a_projection_has_paths() {
    for (paths, message) in [
        (vec![], "has 0 paths; allowed: 1 to 64"),
        (vec!["a", "b..c"], "`[1]` is `b..c`; allowed: names with a dot between them, 256 characters at most"),
    ] {
        let error = Projection::parse(paths.into_iter().map(str::to_owned).collect()).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
}
