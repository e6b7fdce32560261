//! Disks that are full, folders that cannot be written to, and files that are not what was written: clear errors, nothing
//! lost, and no restart when the cause is gone.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use bytes::Bytes;
use serde_json::json;

use crate::support::disk::Disk;
use crate::support::{Hook, House, PATIENCE, component, hmac};

/// Triggers until a full disk is noticed at the latest: a page or two may still have room.
const UNTIL_FULL_MAX: usize = 2_000;

/// Accepts a trigger: its execution, or the code of the problem.
async fn accept(house: &House, hook: &Hook) -> Result<String, String> {
    let body = Bytes::from_static(br#"{"message":"do not lose me"}"#);
    let answer = house.send_with(hook, &[("prefer", "respond-async")], body).await;
    if answer.status == 202 {
        return Ok(answer.json()["execution_id"].as_str().unwrap().to_owned());
    }
    assert_eq!(answer.header("retry-after"), "1", "{}", answer.text());
    Err(answer.problem(503))
}

/// Accepts triggers until one is refused. Returns the executions of the others.
async fn accept_until_refused(house: &House, hook: &Hook) -> Vec<String> {
    let mut accepted = Vec::new();
    for _ in 0..UNTIL_FULL_MAX {
        match accept(house, hook).await {
            Ok(id) => accepted.push(id),
            Err(code) => {
                assert_eq!(code, "store-unavailable");
                return accepted;
            }
        }
    }
    panic!("the disk does not run full");
}

#[tokio::test]
async fn a_full_disk_refuses_what_it_cannot_keep_and_loses_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::at(folder.path().join("data"));
    let mut house = House::start_in(folder, &[]).await;
    let hook = house.flow("echo").await;
    let mut accepted = vec![accept(&house, &hook).await.unwrap()];

    disk.fill(house.process());
    accepted.extend(accept_until_refused(&house, &hook).await);
    // Who needs nothing kept is served, and who reads.
    house.send(&hook, json!({ "message": "now" })).await.expect(200);
    house.get("/v1/executions").await.expect(200);
    let once = [("idempotency-key", "k1")];
    let refused = house.send_with(&hook, &once, Bytes::from_static(b"{}")).await;
    assert_eq!(refused.problem(503), "store-unavailable");
    let upload = house.add_version("echo", component("mirror")).await;
    assert_eq!(upload.header("retry-after"), "1", "{}", upload.text());
    assert_eq!(upload.problem(503), "store-unavailable");

    disk.clear(house.process());
    accepted.push(accept(&house, &hook).await.expect("there is room again, without a restart"));
    house.send_with(&hook, &once, Bytes::from_static(b"{}")).await.expect(200);
    house.deploy("mirror", "mirror").await;
    for id in &accepted {
        assert_eq!(house.ended_execution(id).await["status"], "succeeded");
    }

    house.kill();
    house.restart().await;
    for id in &accepted {
        assert_eq!(house.ended_execution(id).await["status"], "succeeded", "after a power cut as well");
    }
    drop(house);
    drop(disk);
}

/// Starts a server that is not expected to listen, without the right of root to write anywhere.
async fn start_refused(data: PathBuf) -> Output {
    let start = move || {
        let server = env!("CARGO_BIN_EXE_flowgate");
        let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
        let mut command = if is_root {
            let mut unprivileged = Command::new("setpriv");
            unprivileged.args(["--bounding-set", "-dac_override", "--inh-caps", "-dac_override", "--", server]);
            unprivileged
        } else {
            Command::new(server)
        };
        command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(data).output().unwrap()
    };
    let ended = tokio::task::spawn_blocking(start);
    tokio::time::timeout(PATIENCE, ended).await.expect("it ends by itself").unwrap()
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_to_is_named_at_the_start_with_the_remedy() {
    let mut house = House::start().await;
    house.kill();
    let data = house.folder.path().join("data");
    let chmod = |how: &str| {
        assert!(Command::new("chmod").args(["-R", how]).arg(&data).status().unwrap().success());
    };
    chmod("a-w");
    let refused = start_refused(data.clone()).await;
    chmod("u+w");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("the data folder {} cannot be used", data.display())), "{said}");
    assert!(said.contains("must own the data folder"), "{said}");
    house.restart().await;
    house.get("/v1/flows").await.expect(200);
}

#[tokio::test]
async fn a_folder_that_is_in_the_way_while_the_server_runs_fails_uploads_alone() {
    let house = House::start().await;
    let hook = house.flow("echo").await;
    // Root may write whatever the mode, so what is missing is the folder itself.
    let (uploads, aside) = (house.folder.path().join("data/uploads"), house.folder.path().join("data/aside"));
    fs::rename(&uploads, &aside).unwrap();
    let refused = house.add_version("echo", component("mirror")).await;
    assert_eq!(refused.header("retry-after"), "1", "{}", refused.text());
    assert_eq!(refused.problem(503), "store-unavailable");
    accept(&house, &hook).await.unwrap();
    house.send(&hook, json!({ "message": "now" })).await.expect(200);
    fs::rename(&aside, &uploads).unwrap();
    house.deploy("mirror", "mirror").await;
}

/// The only compiled component of a house, and its log.
fn compiled(house: &House) -> (PathBuf, PathBuf) {
    let of = |folder: &Path| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    let files: Vec<_> = of(&house.folder.path().join("data/compiled")).iter().flat_map(|folder| of(folder)).collect();
    let artifacts: Vec<_> =
        files.into_iter().filter(|path| path.extension().is_some_and(|end| end == "cwasm")).collect();
    assert_eq!(artifacts.len(), 1, "{artifacts:?}");
    (artifacts[0].clone(), house.folder.path().join("log"))
}

#[tokio::test]
async fn a_compiled_component_that_was_damaged_is_compiled_again() {
    let mut house = House::start_with(&[("FLOWGATE_TELEMETRY_LOG", "warn")]).await;
    house.deploy("echo", "echo").await;
    let hook = house.hook("echo", json!({ "auth": [hmac()] })).await;
    let (artifact, log) = compiled(&house);
    let whole = fs::read(&artifact).unwrap();
    let mut flipped = whole.clone();
    let middle = flipped.len() / 2;
    flipped[middle..middle + 64].iter_mut().for_each(|byte| *byte ^= 0xff);
    for damaged in [&flipped[..], &whole[..middle], &[]] {
        house.kill();
        fs::write(&artifact, damaged).unwrap();
        fs::write(&log, b"").unwrap();
        house.restart().await;
        house.send(&hook, json!({ "message": "still here" })).await.expect(200);
        assert_eq!(fs::read(&artifact).unwrap().len(), whole.len(), "it was compiled again");
        let said = fs::read_to_string(&log).unwrap();
        assert!(said.contains("artifact not signed by this host, compiling again"), "{said}");
    }
}
