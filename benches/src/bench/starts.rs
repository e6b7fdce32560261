//! What happens once: uploads, and the first reply after a start.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::time::{Instant, sleep};

use crate::case::{Programs, SECRET};
use crate::house::{Furniture, House};
use crate::report::{Restart, Starts};
use crate::{many, sample, wire};

/// Uploads of a component that the server has not seen.
const UPLOADS: usize = 5;

/// Restarts a server over its data so often, and uploads to it.
pub(super) async fn measure(programs: &Programs, core: Option<usize>, restarts: usize) -> Result<Starts> {
    let folder = tempfile::tempdir_in(&programs.data)?;
    let start = |key| House::start(&programs.flowgate, folder.path(), core, key);
    let house = start(None).await?;
    let key = house.server.key.clone().context("the server said no key")?;
    let furniture = Furniture::plain(&programs.guests.join("mirror.wasm"), SECRET);
    let uploads = uploads(&house, &furniture).await?;
    let hook = house.furnish(&furniture).await?;
    house.server.stop().await?;
    let request = sample::request(&hook, SECRET.as_bytes(), &[]);
    let mut all = Vec::new();
    for _ in 0..restarts {
        let house = start(Some(&key)).await?;
        let begin = Instant::now();
        let mut connection = wire::Connection::open(house.server.address).await?;
        let answer = connection.call(&request).await?;
        let first_reply = begin.elapsed();
        ensure!(answer.status == 200, "the first reply is a {}", answer.status);
        sleep(Duration::from_secs(1)).await;
        let (listening, resident_bytes) = (house.server.started_in, house.server.resident_bytes()?);
        all.push(Restart { listening, first_reply, resident_bytes });
        drop(connection);
        house.server.stop().await?;
    }
    Ok(Starts { restarts: all, uploads })
}

/// The times from the first byte of an upload until its version is live.
async fn uploads(house: &House, furniture: &Furniture) -> Result<Vec<Duration>> {
    let component = std::fs::read(&furniture.component)?;
    let mut took = Vec::new();
    for number in 0..UPLOADS {
        let other = many::marked(&component, &number.to_string());
        let begin = Instant::now();
        house.api.flow_of(&format!("upload-{number}"), &other, 1).await?;
        took.push(begin.elapsed());
    }
    Ok(took)
}
