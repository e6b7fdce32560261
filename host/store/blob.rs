//! Components as files: `components/<digest hex>.wasm`, written once and never changed.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use super::{Error, Result, Store};
use crate::id::Digest;

/// A component on its way in. Dropped before [`Store::version_create`], it leaves nothing behind.
#[derive(Debug)]
pub struct Upload {
    file: NamedTempFile,
    hash: Sha256,
    size_bytes: u64,
}

impl Upload {
    /// Adds bytes. Blocks for as long as the operating system takes to copy them.
    pub fn push(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|e| Error::io("write", self.file.path(), e))?;
        self.hash.update(bytes);
        self.size_bytes += bytes.len() as u64;
        Ok(())
    }

    /// Bytes so far.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// The digest of the bytes so far.
    pub fn digest(&self) -> Digest {
        Digest::from_bytes(self.hash.clone().finalize().into())
    }

    /// Where the bytes are, for reading.
    pub fn path(&self) -> &Path {
        self.file.path()
    }
}

impl Store {
    /// Begins an upload. Blocks.
    pub fn upload(&self) -> Result<Upload> {
        let folder = self.0.folder.join("uploads");
        let file = NamedTempFile::new_in(&folder).map_err(|e| Error::io("create a file in", &folder, e))?;
        Ok(Upload { file, hash: Sha256::new(), size_bytes: 0 })
    }

    /// Keeps an upload under its digest, on the disk when this returns. Blocks.
    pub(super) fn keep(&self, upload: Upload) -> Result<Digest> {
        let digest = upload.digest();
        let path = self.component_path(&digest);
        let Upload { file, .. } = upload;
        file.as_file().sync_all().map_err(|e| Error::io("sync", file.path(), e))?;
        file.persist(&path).map_err(|e| Error::io("write", &path, e.error))?;
        let folder = self.0.folder.join("components");
        let synced = std::fs::File::open(&folder).and_then(|folder| folder.sync_all());
        synced.map_err(|e| Error::io("sync", &folder, e))?;
        Ok(digest)
    }

    /// Where the component with this digest is, if it is.
    pub fn component_path(&self, digest: &Digest) -> PathBuf {
        self.0.folder.join("components").join(format!("{}.wasm", digest.hex()))
    }

    /// Removes a component's bytes; no error when they are gone. Blocks.
    pub(super) fn discard(&self, digest: &Digest) -> Result<()> {
        let path = self.component_path(digest);
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", &path, e)),
            _ => Ok(()),
        }
    }
}

/// Removes what a crash left of unfinished uploads.
pub(super) fn discard_unfinished(folder: &Path) -> Result<()> {
    let uploads = folder.join("uploads");
    let entries = std::fs::read_dir(&uploads).map_err(|e| Error::io("read", &uploads, e))?;
    for entry in entries.flatten() {
        std::fs::remove_file(entry.path()).map_err(|e| Error::io("remove", &entry.path(), e))?;
    }
    Ok(())
}
