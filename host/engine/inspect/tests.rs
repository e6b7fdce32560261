//! Inspection of components made from text: what is found, and what is said about it.

use super::*;
use crate::engine::testing::component;

const MAX: usize = 1 << 20;

/// What is told about a component that was built for `wit`.
fn mismatches(wit: &str) -> Vec<(MismatchKind, String, Option<String>)> {
    match inspect(&component(wit), MAX) {
        Err(Refusal::Mismatch(all)) => all.into_iter().map(|one| (one.kind, one.detail, one.nearest)).collect(),
        other => panic!("{other:?}"),
    }
}

fn details(wit: &str) -> Vec<String> {
    mismatches(wit).into_iter().map(|(_, detail, _)| detail).collect()
}

#[test]
fn a_flow_is_known_by_its_exports() {
    let wit = "package a:b; world w { include flowgate:flow/described-flow@0.1.0; export more: func(); }";
    let inspection = inspect(&component(wit), MAX).unwrap();
    assert_eq!((inspection.kind, inspection.describes), (Kind::Flow01, true));
    assert!(inspection.imports.contains(&"flowgate:flow/output@0.1.0".to_owned()));
    assert_eq!(inspection.exports, ["flowgate:flow/describe@0.1.0", "flowgate:flow/handler@0.1.0", "more"]);
}

#[test]
fn a_server_of_http_is_a_flow_too() {
    let inspection = inspect(&component("package a:b; world w { include wasi:http/proxy@0.2.12; }"), MAX).unwrap();
    assert_eq!((inspection.kind, inspection.describes), (Kind::WasiHttp02, false));
}

#[test]
fn asynchronous_components_are_flows_too() {
    let kind = |wit: &str| inspect(&component(wit), MAX).unwrap().kind;
    let flow = "package a:b; world w { include wasi:cli/imports@0.2.12; include flowgate:flow/described-flow@0.2.0; }";
    assert_eq!(kind(flow), Kind::Flow02);
    let older = "package a:b; world w { import flowgate:flow/output@0.1.0; include flowgate:flow/flow@0.2.0; }";
    assert_eq!(kind(older), Kind::Flow02);
    assert_eq!(kind("package a:b; world w { include wasi:http/service@0.3.0; }"), Kind::WasiHttp03);
}

#[test]
fn a_synchronous_flow_cannot_import_what_is_asynchronous() {
    let wit = "package a:b;
        world w {
            import flowgate:flow/output@0.2.0;
            import wasi:clocks/monotonic-clock@0.3.0;
            include flowgate:flow/flow@0.1.0;
        }";
    let told = mismatches(wit);
    let asynchronous = told.iter().filter(|(kind, ..)| *kind == MismatchKind::WrongVersion).count();
    assert!(asynchronous >= 2 && asynchronous == told.len(), "{told:#?}");
    assert!(told.iter().all(|(.., nearest)| nearest.as_deref() == Some("flowgate:flow/handler@0.2.0")), "{told:#?}");
}

#[test]
fn a_transform_is_known_by_its_export_and_talks_to_nobody() {
    let inspection = inspect(&component("package a:b; world w { include flowgate:transform/transform@0.1.0; }"), MAX);
    assert_eq!(inspection.unwrap().kind, Kind::Transform01);
    for forbidden in ["flowgate:flow/output@0.1.0", "flowgate:flow/session@0.1.0", "wasi:http/outgoing-handler@0.2.12"]
    {
        let wit = format!("package a:b; world w {{ include flowgate:transform/transform@0.1.0; import {forbidden}; }}");
        let told = mismatches(&wit);
        assert!(told.iter().all(|(kind, ..)| *kind == MismatchKind::NotGranted), "{told:?}");
        assert!(told.iter().any(|(_, detail, _)| detail.contains(forbidden)), "{told:?}");
    }
}

#[test]
fn all_that_wasi_offers_may_be_imported() {
    let wit = "package a:b; world w { include wasi:cli/imports@0.2.12; include flowgate:flow/flow@0.1.0; }";
    assert_eq!(inspect(&component(wit), MAX).unwrap().kind, Kind::Flow01);
}

#[test]
fn bytes_that_are_no_component_get_an_answer_that_helps() {
    let whole = component("package a:b; world w { include flowgate:flow/flow@0.1.0; }");
    let refusal = |bytes: &[u8]| inspect(bytes, MAX).unwrap_err();
    assert_eq!(refusal(b""), Refusal::Empty);
    assert_eq!(refusal(b"\0asm\x01\0\0\0"), Refusal::CoreModule);
    assert_eq!(refusal(b"(component)"), Refusal::Text);
    assert_eq!(refusal("fn main() { « }".as_bytes()), Refusal::Text);
    assert_eq!(refusal(b"\x7fELF\x02\x01\x01\0\0\0\0\0"), Refusal::NotWasm);
    assert_eq!(refusal(&whole[..6]), Refusal::Truncated);
    assert_eq!(refusal(&whole[..whole.len() / 2]), Refusal::Truncated);
    assert_eq!(inspect(&whole, 10).unwrap_err(), Refusal::TooLarge { bytes: whole.len(), bytes_max: 10 });
    let mut broken = whole.clone();
    broken[8] = 0x7f;
    assert!(matches!(refusal(&broken), Refusal::Invalid(_)));
}

#[test]
fn a_compiled_artifact_is_never_taken() {
    let engine = wasmtime::Engine::default();
    let artifact = engine.precompile_component(&component("package a:b; world w { export f: func(); }")).unwrap();
    assert_eq!(inspect(&artifact, usize::MAX).unwrap_err(), Refusal::Precompiled);
}

#[test]
fn every_mismatch_is_told_at_once() {
    let wit = "package a:b;
        interface invoices { find: func(); }
        world w {
            import invoices;
            import wasi:cli/environment@0.2.12;
            import log: func(text: string);
            export run: func();
        }";
    let told = mismatches(wit);
    let kinds: Vec<_> = told.iter().map(|(kind, ..)| *kind).collect();
    assert_eq!(kinds, [MismatchKind::UnknownImport, MismatchKind::UnknownImport, MismatchKind::MissingExport]);
    assert_eq!(told[2].2.as_deref(), Some("flowgate:flow/handler@0.1.0"));
}

#[test]
fn a_command_is_told_to_become_a_library() {
    let wit = "package a:b; world w { include wasi:cli/command@0.2.12; }";
    assert!(details(wit)[0].contains("cdylib"), "{:?}", details(wit));
}

/// A package that stands for another version of the contract, with `body` as its handler.
fn handler(version: &str, body: &str) -> String {
    format!(
        "package flowgate:flow@{version};
        interface handler {{ {body} }}
        world w {{ export handler; }}"
    )
}

/// The same of an asynchronous flow.
fn asynchronous() -> String {
    TYPES
        .replace("text: option<string>, data", "text: option<string>, %stream: option<stream<string>>, data")
        .replace("handle: func", "handle: async func")
}

const TYPES: &str = "
    record header { name: string, value: list<u8> }
    record request {
        method: string, path: string, query: string, headers: list<header>, body: list<u8>, peer: string }
    record trigger {
        execution-id: string, flow: string, version: string, hook: string, dialect: string, attempt: u32,
        received-at-ms: u64, deadline-ms: u64, message: option<string>, user-id: option<string>,
        session-id: option<string>, data: string, metadata: string, request: request }
    record http-reply { status: u16, headers: list<header>, body: list<u8> }
    record reply { text: option<string>, data: option<string>, raw: option<http-reply> }
    record input-error { field: string, expected: string, received: string, message: string }
    record retry-after { after-ms: option<u64>, message: string }
    variant failure { invalid-input(input-error), failed(string), retry(retry-after) }
    handle: func(t: trigger) -> result<reply, failure>;";

#[test]
fn a_later_patch_of_the_contract_fits() {
    let inspection = inspect(&component(&handler("0.1.7", TYPES)), MAX).unwrap();
    assert_eq!(
        (inspection.kind, inspection.exports.as_slice()),
        (Kind::Flow01, &["flowgate:flow/handler@0.1.7".to_owned()][..])
    );
}

#[test]
fn another_version_of_the_contract_is_named() {
    let told = mismatches(&handler("0.3.0", TYPES));
    assert_eq!(told[0].0, MismatchKind::WrongVersion);
    assert_eq!(told[0].2.as_deref(), Some("flowgate:flow/handler@0.2.0"));
}

#[test]
fn a_wrong_type_is_told_by_its_path() {
    for (wrong, right, says) in [
        (
            "record reply { text: option<string>, raw",
            "record reply { text: option<string>, data: option<string>, raw",
            "`handle → result.ok`: field `data: option<json>` is missing",
        ),
        ("status: u32", "status: u16", "`handle → result.ok.raw.status`: is `u32` and must be `u16`"),
        ("body: string, peer", "body: list<u8>, peer", "`handle → t.request.body`: is `string` and must be `list<u8>`"),
        (
            "name: string, value: list<u8>, kind: u8",
            "name: string, value: list<u8>",
            "`handle → t.request.headers[]`: field `kind` must not be there",
        ),
        ("retry(string)", "retry(retry-after)", "`handle → result.err.retry`: is `string` and must be `retry-after`"),
        (
            "failed(string), invalid-input(input-error)",
            "invalid-input(input-error), failed(string)",
            "`handle → result.err`: the cases must be in the order invalid-input, failed, retry",
        ),
        ("result<reply>", "result<reply, failure>", "`handle → result.err`: the value `failure` is missing"),
        ("func() ->", "func(t: trigger) ->", "`handle`: takes 0 parameters and must take 1"),
        ("handel: func", "handle: func", "the function `handle` is missing"),
    ] {
        assert!(TYPES.contains(right), "{right}");
        let told = details(&handler("0.1.9", &TYPES.replace(right, wrong)));
        assert!(told.iter().any(|told| told.contains(says)), "{says}: {told:#?}");
    }
}

#[test]
fn an_asynchronous_flow_is_compared_too() {
    let right = asynchronous();
    assert_eq!(inspect(&component(&handler("0.2.1", &right)), MAX).unwrap().kind, Kind::Flow02);
    let wrong = right
        .replace("async func", "func")
        .replace("stream<string>", "stream<u8>")
        .replace("failed(string)", "failed")
        .replace("status: u16", "status: u32");
    let told = details(&handler("0.2.9", &wrong));
    for says in [
        "`handle`: must be async",
        "`handle → result.ok.stream[]`: is `u8` and must be `string`",
        "`handle → result.err.failed`: the payload `string` is missing",
        "`handle → result.ok.raw.status`: is `u32` and must be `u16`",
    ] {
        assert!(told.iter().any(|told| told.contains(says)), "{says}: {told:#?}");
    }
}

#[test]
fn names_of_a_component_are_shown_short() {
    let long = format!("x{}", "y".repeat(5_000));
    let wit = format!("package a:b; interface {long} {{ f: func(); }} world w {{ import {long}; }}");
    assert!(details(&wit).iter().all(|told| told.len() < 300));
}
