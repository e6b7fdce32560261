//! Notices that an author has saved something.

use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

use super::{Error, FILE, Project};

/// How long it has to be quiet: editors and version control write several files, and each of them in several steps.
const QUIET: Duration = Duration::from_millis(100);

/// Folders of what is made and not written, wherever they are.
const MADE: [&str; 4] = ["target", "node_modules", "__pycache__", "dist"];

/// Watches what the project says. Changes while nobody asks are kept.
pub struct Watch {
    changed: mpsc::Receiver<()>,
    _watcher: RecommendedWatcher,
}

impl Project {
    /// Begins to watch.
    pub fn watch(&self) -> Result<Watch, Error> {
        let failed = |error: notify::Error| Error::File {
            what: "watch",
            path: error.paths.first().unwrap_or(&self.folder).clone(),
            source: std::io::Error::other(error),
        };
        let mut wanted = self.manifest.build.watch.iter().map(|path| self.folder.join(path)).collect::<Vec<_>>();
        wanted.push(self.folder.join(FILE));
        let (tell, changed) = mpsc::channel(1);
        let (folder, own) = (self.folder.clone(), wanted.clone());
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let event = event.ok().filter(|event| !matches!(event.kind, EventKind::Access(_)));
            let ours = |path: &PathBuf| is_written(path, &folder) && own.iter().any(|own| path.starts_with(own));
            if event.is_some_and(|event| event.paths.iter().any(ours)) {
                // A change that is waiting already stands for this one.
                let _ = tell.try_send(());
            }
        })
        .map_err(failed)?;
        for path in &wanted {
            // An editor may put another file in a file's place, so its folder is watched.
            let (path, mode) = match path.is_dir() {
                true => (path.as_path(), RecursiveMode::Recursive),
                false => (path.parent().unwrap_or(&self.folder), RecursiveMode::NonRecursive),
            };
            if path.exists() {
                watcher.watch(path, mode).map_err(failed)?;
            }
        }
        Ok(Watch { changed, _watcher: watcher })
    }
}

impl Watch {
    /// Waits for a change and then for quiet. Cancel safe but for the change that has begun.
    pub async fn changed(&mut self) {
        self.changed.recv().await;
        while tokio::time::timeout(QUIET, self.changed.recv()).await.is_ok() {}
    }
}

/// Whether a person writes there: builds and tools write elsewhere.
fn is_written(path: &Path, folder: &Path) -> bool {
    let inside = path.strip_prefix(folder).unwrap_or(path);
    inside.components().all(|part| match part {
        Component::Normal(name) => {
            let name = name.to_string_lossy();
            !name.starts_with('.') && !MADE.contains(&name.as_ref())
        }
        _ => true,
    })
}
