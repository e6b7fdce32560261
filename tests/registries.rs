//! Components in OCI registries.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::json;

use crate::support::project::{Project, stderr, stdout};
use crate::support::reference::{ADA, Reference};
use crate::support::registry::Registry;
use crate::support::{House, component, hmac};

#[tokio::test]
async fn a_component_is_pushed_pulled_and_deployed_with_the_same_digest() {
    let (house, project, registry) = (House::start().await, Project::of("echo"), Registry::default());
    let reference = format!("{}/acme/bot:1.2.0", registry.start().await);
    let pushed = stdout(&project.on(&house, &["push", &reference]).await);
    let manifest = registry.manifest("1.2.0");
    assert_eq!(manifest["config"]["mediaType"], "application/vnd.wasm.config.v0+json");
    assert_eq!(manifest["layers"].as_array().unwrap().len(), 1);
    assert_eq!(manifest["layers"][0]["mediaType"], "application/wasm");
    let digest = manifest["layers"][0]["digest"].as_str().unwrap();
    assert!(pushed.contains(digest), "{pushed}");
    let config =
        serde_json::from_slice::<serde_json::Value>(&registry.blob(manifest["config"]["digest"].as_str().unwrap()));
    let config = config.unwrap();
    assert_eq!((&config["architecture"], &config["os"]), (&json!("wasm"), &json!("wasip2")));
    assert_eq!(
        (&config["layerDigests"][0], &config["component"]["exports"][0]),
        (&json!(digest), &json!("flowgate:flow/describe@0.1.0"))
    );

    let deployed = stdout(&project.on(&house, &["deploy", "bot", &format!("oci://{reference}")]).await);
    assert!(deployed.contains(&format!("version {digest} is ready")), "{deployed}");
    let hook = house.hook("bot", json!({ "auth": [hmac()] })).await;
    assert_eq!(house.send(&hook, json!({ "message": "Hi" })).await.expect(200)["reply"]["text"], "Hi");

    stdout(&project.run(&["pull", &reference, "--output", "pulled.wasm"]).await);
    let pulled = std::fs::read(project.path().join("pulled.wasm")).unwrap();
    assert_eq!(pulled, registry.blob(digest));
    let again = project.run(&["pull", &reference, "--output", "pulled.wasm"]).await;
    assert!(!again.status.success() && stderr(&again).contains("cannot write pulled.wasm"), "{}", stderr(&again));
}

#[tokio::test]
async fn what_a_registry_falsifies_is_not_deployed() {
    let (house, project, registry) = (House::start().await, Project::of("echo"), Registry::default());
    let reference = format!("{}/acme/bot:1", registry.start().await);
    stdout(&project.on(&house, &["push", &reference]).await);
    let manifest = registry.manifest("1");
    let digest = manifest["layers"][0]["digest"].as_str().unwrap();
    let oci = format!("oci://{reference}");
    let refused = async |why: &str| {
        let output = project.on(&house, &["deploy", "bot", &oci]).await;
        assert!(!output.status.success() && stderr(&output).contains(why), "{why}: {}", stderr(&output));
        house.get("/v1/flows/bot").await.expect(404);
    };
    let genuine = registry.blob(digest);
    registry.falsify(digest, component("speaker").slice(..100));
    refused("cannot be pulled").await;
    registry.falsify(digest, [&genuine[..], b"more"].concat());
    refused("longer than its manifest says").await;
    let mut other = manifest.clone();
    other["layers"][0]["mediaType"] = json!("application/vnd.oci.image.layer.v1.tar+gzip");
    registry.put_manifest("1", &other);
    refused("no layer of the type application/wasm").await;
    let mut huge = manifest.clone();
    huge["layers"][0]["size"] = json!(1_u64 << 40);
    registry.put_manifest("1", &huge);
    refused("more than").await;
}

#[tokio::test]
async fn a_registry_that_asks_gets_the_credentials_and_only_then_gives() {
    let (project, basic) = (Project::of("echo"), format!("Basic {}", BASE64_STANDARD.encode("ada:s3cret")));
    let registry = Registry::for_only(&basic);
    let address = registry.start().await;
    let reference = format!("{address}/acme/bot:1");
    let nobody = project.run(&["push", &reference, "--docker-config", "."]).await;
    assert!(!nobody.status.success() && stderr(&nobody).contains("cannot be pushed"), "{}", stderr(&nobody));
    let auth = json!({ "auths": { address.to_string(): { "auth": BASE64_STANDARD.encode("ada:s3cret") } } });
    project.write("config.json", auth.to_string());
    stdout(&project.run(&["push", &reference, "--docker-config", "."]).await);
    let flags = ["--user", "ada", "--registry-password", "wrong"];
    let wrong = project.run(&[&["pull", &reference, "--output", "a.wasm"][..], &flags].concat()).await;
    assert!(!wrong.status.success() && !stderr(&wrong).contains("wrong"), "{}", stderr(&wrong));
    assert!(!project.path().join("a.wasm").exists());
    stdout(&project.run(&["pull", &reference, "--output", "a.wasm", "--docker-config", "."]).await);
}

#[tokio::test]
async fn the_reference_registry_takes_and_gives_components() {
    let (house, project, registry) = (House::start().await, Project::of("echo"), Reference::start().await);
    let reference = format!("{}/acme/bot:1.2.0", registry.host);
    stdout(&project.on(&house, &["push", &reference]).await);
    let manifest = registry.tagged("acme/bot", "1.2.0");
    let told = serde_json::from_slice::<serde_json::Value>(&registry.blob(&manifest)).unwrap();
    let digest = told["layers"][0]["digest"].as_str().unwrap();
    assert_eq!(told["config"]["mediaType"], "application/vnd.wasm.config.v0+json");
    assert_eq!(registry.blob(digest), std::fs::read(project.path().join("flow.wasm")).unwrap());

    let deployed = stdout(&project.on(&house, &["deploy", "bot", &format!("oci://{reference}")]).await);
    assert!(deployed.contains(&format!("version {digest} is ready")), "{deployed}");
    let hook = house.hook("bot", json!({ "auth": [hmac()] })).await;
    assert_eq!(house.send(&hook, json!({ "message": "Hi" })).await.expect(200)["reply"]["text"], "Hi");

    // The tag goes on to another version; what is named by its digest stays what it was.
    project.save(1);
    stdout(&project.on(&house, &["push", &reference]).await);
    assert_ne!(registry.tagged("acme/bot", "1.2.0"), manifest);
    let exactly = format!("{}/acme/bot@{manifest}", registry.host);
    for (reference, file) in [(&exactly, "first.wasm"), (&reference, "second.wasm")] {
        stdout(&project.run(&["pull", reference, "--output", file]).await);
    }
    let pulled = |file: &str| std::fs::read(project.path().join(file)).unwrap();
    assert_eq!(pulled("first.wasm"), registry.blob(digest));
    assert_eq!(pulled("second.wasm"), pulled("flow.wasm"));
    let none = project.run(&["pull", &format!("{}/acme/none:1", registry.host), "--output", "a.wasm"]).await;
    assert!(!none.status.success() && stderr(&none).contains("cannot be pulled"), "{}", stderr(&none));
}

#[tokio::test]
async fn the_reference_registry_lets_in_who_has_its_credentials() {
    let (project, registry) = (Project::of("echo"), Reference::for_only(ADA).await);
    let reference = format!("{}/acme/bot:1", registry.host);
    let nobody = project.run(&["push", &reference, "--docker-config", "."]).await;
    assert!(!nobody.status.success() && stderr(&nobody).contains("cannot be pushed"), "{}", stderr(&nobody));
    let auth = json!({ "auths": { &registry.host: { "auth": BASE64_STANDARD.encode("ada:s3cret") } } });
    project.write("config.json", auth.to_string());
    stdout(&project.run(&["push", &reference, "--docker-config", "."]).await);
    let wrong = ["--user", "ada", "--registry-password", "wrong"];
    let wrong = project.run(&[&["pull", &reference, "--output", "a.wasm"][..], &wrong].concat()).await;
    assert!(!wrong.status.success() && !project.path().join("a.wasm").exists(), "{}", stderr(&wrong));
    stdout(&project.run(&["pull", &reference, "--output", "a.wasm", "--docker-config", "."]).await);
    assert_eq!(
        std::fs::read(project.path().join("a.wasm")).unwrap(),
        std::fs::read(project.path().join("flow.wasm")).unwrap()
    );
}
