//! The OpenAPI document and the pages behind the problems.

use std::collections::BTreeSet;

use super::*;

async fn document() -> Value {
    let house = House::new().await;
    let request = Request::builder().uri("/openapi.json").body(Body::empty()).unwrap();
    house.send(request).await.expect(200)
}

fn operations(document: &Value) -> impl Iterator<Item = (&String, &String, &Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    paths.flat_map(|(path, item)| item.as_object().unwrap().iter().map(move |(method, it)| (method, path, it)))
}

#[tokio::test]
async fn the_document_has_every_endpoint_under_its_own_name() {
    let document = document().await;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let described = operations(&document)
        .map(|(method, path, operation)| (method.as_str(), path.as_str(), operation["operationId"].as_str().unwrap()));
    assert_eq!(described.collect::<BTreeSet<_>>(), ENDPOINTS.iter().copied().collect());
}

#[tokio::test]
async fn every_operation_says_what_it_does_who_may_and_what_can_go_wrong() {
    for (method, path, operation) in operations(&document().await) {
        assert!(
            operation["summary"].as_str().is_some_and(|text| text.ends_with('.') && !text.contains('\n')),
            "{method} {path}"
        );
        let keyed = path.starts_with("/v1/") || path == "/metrics";
        assert_eq!(operation["security"].is_array(), keyed, "{method} {path}");
        let problem = &operation["responses"]["5XX"];
        assert_eq!(problem["$ref"], "#/components/responses/ServerProblem", "{method} {path}");
        let placed = operation["parameters"].as_array().into_iter().flatten().filter(|one| one["in"] == "path");
        let placed = placed.map(|one| format!("{{{}}}", one["name"].as_str().unwrap())).collect::<BTreeSet<_>>();
        let wanted = path.split('/').filter(|part| part.starts_with('{')).map(str::to_owned).collect();
        assert_eq!(placed, wanted, "{method} {path}");
    }
}

#[tokio::test]
async fn every_reference_leads_somewhere() {
    fn references<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str));
                members.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let document = document().await;
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.len() > 20, "{found:?}");
    for reference in found {
        assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
    }
}

#[tokio::test]
async fn every_problem_has_a_page_where_its_type_points_to() {
    let house = House::new().await;
    for kind in kind::KINDS {
        let request = Request::builder().uri(format!("/errors/{}", kind.slug)).body(Body::empty()).unwrap();
        let page = house.send(request).await;
        assert_eq!((page.status, page.text.starts_with("# ")), (200, true), "{}", kind.slug);
        assert_eq!(page.headers["content-type"], "text/markdown; charset=utf-8");
    }
    house.get("/errors/nonsense").await.refused(404, "not-found");
}
