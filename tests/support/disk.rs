//! A disk that runs full.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Bytes of a disk of one's own. The store's log alone may take 16 MiB.
const SIZE: &str = "size=64m";

/// What stands for the disk of a data folder.
pub(crate) enum Disk {
    /// One in memory, where this machine lets one be mounted: it fails as a real one does.
    Own(PathBuf),
    /// Elsewhere, as in most containers, a limit on the size of the server's files: every write fails from then on.
    Limit,
}

impl Disk {
    /// Mounts one at `folder`, which is made, if that can be.
    pub(crate) fn at(folder: PathBuf) -> Self {
        fs::create_dir_all(&folder).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", SIZE, "tmpfs"]).arg(&folder).output();
        if mounted.is_ok_and(|done| done.status.success()) { Self::Own(folder) } else { Self::Limit }
    }

    /// Leaves no room to the server with this process number.
    pub(crate) fn fill(&self, process: u32) {
        match self {
            Self::Own(folder) => {
                let mut ballast = File::create(ballast(folder)).unwrap();
                let full = io::copy(&mut io::repeat(0).take(1 << 30), &mut ballast).unwrap_err();
                assert_eq!(full.kind(), io::ErrorKind::StorageFull);
            }
            Self::Limit => limit(process, "0:"),
        }
    }

    /// Makes room again.
    pub(crate) fn clear(&self, process: u32) {
        match self {
            Self::Own(folder) => fs::remove_file(ballast(folder)).unwrap(),
            Self::Limit => limit(process, "unlimited:"),
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Self::Own(folder) = self {
            // Lazily: the server may have been killed a moment ago.
            let _ = Command::new("umount").arg("--lazy").arg(&*folder).status();
        }
    }
}

fn ballast(folder: &Path) -> PathBuf {
    folder.join("ballast")
}

fn limit(process: u32, size: &str) {
    let process = process.to_string();
    let set = Command::new("prlimit").args(["--pid", &process, &format!("--fsize={size}")]).status().unwrap();
    assert!(set.success(), "prlimit (util-linux) sets a limit for another process");
}
