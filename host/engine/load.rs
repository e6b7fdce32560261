//! Compiled components: kept in a directory, verified, and made ready to run.
//!
//! Loading an artifact means running its code with the host's rights, so only what carries this host's signature over the
//! version's digest is loaded. Anything else is treated as missing and compiled again.

use std::fs::{self, File, Permissions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tempfile::NamedTempFile;
use wasmtime::component::Component;
use wasmtime_wasi_http::p2::bindings::ProxyPre;
use wasmtime_wasi_http::p3::bindings::ServicePre;

use crate::bindings::{transform_v0_1, v0_1, v0_2};
use crate::capability::Ctx;
use crate::id::Digest;

use super::runtime::Runtime;
use super::{Engine, Error, Kind, settings};

/// How the names of files start that are still being written.
const UNFINISHED: &str = "compiling-";

/// A version that is ready to run.
pub struct Loaded {
    digest: Digest,
    pub(super) program: Program,
}

pub(super) enum Program {
    Flow01(v0_1::FlowPre<Ctx>),
    Flow02(v0_2::FlowPre<Ctx>),
    Http02(ProxyPre<Ctx>),
    Http03(ServicePre<Ctx>),
    Transform(transform_v0_1::TransformPre<Ctx>),
}

impl Loaded {
    /// The version's digest.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// What the version exports.
    pub fn kind(&self) -> Kind {
        match self.program {
            Program::Flow01(_) => Kind::Flow01,
            Program::Flow02(_) => Kind::Flow02,
            Program::Http02(_) => Kind::WasiHttp02,
            Program::Http03(_) => Kind::WasiHttp03,
            Program::Transform(_) => Kind::Transform01,
        }
    }
}

impl Engine {
    /// Makes a version ready to run; `component` is compiled when no usable artifact is kept. Callers that ask for the same
    /// version at one time share the work. Cancel safe.
    pub async fn load(&self, digest: Digest, component: &Path) -> Result<Arc<Loaded>, Error> {
        let load = Box::pin(self.load_artifact(digest, component));
        self.0.loaded.try_get_with(digest, load).await.map_err(|error| Error::clone(&error))
    }

    /// A version that is ready to run, if it is. Cancel safe.
    pub async fn loaded(&self, digest: Digest) -> Option<Arc<Loaded>> {
        self.0.loaded.get(&digest).await
    }

    /// Forgets a version: it is no longer kept ready, and its artifact is removed.
    pub async fn forget(&self, digest: Digest) {
        self.0.loaded.invalidate(&digest).await;
        self.0.warm.forget(digest);
        for runtime in self.0.runtimes.all() {
            runtime.artifacts.remove(digest).await;
        }
    }

    async fn load_artifact(&self, digest: Digest, component: &Path) -> Result<Arc<Loaded>, Error> {
        let loaded = match self.kept(digest).await? {
            Some((runtime, component)) => runtime.link(digest, &component),
            None => {
                let (runtime, component) = self.compile_and_open(digest, component).await?;
                runtime.link(digest, &component)
            }
        };
        loaded.map(Arc::new).map_err(|error| Error::Compile(format!("{error:#}")))
    }

    /// What is kept of a version, and for which engine it was compiled.
    async fn kept(&self, digest: Digest) -> Result<Option<(&Runtime, Component)>, Error> {
        for runtime in self.0.runtimes.all() {
            match runtime.open(digest).await? {
                Artifact::Ready(component) => return Ok(Some((runtime, component))),
                Artifact::Missing => {}
                Artifact::Unusable(reason) => {
                    tracing::warn!(%digest, reason, "artifact not usable, compiling again");
                }
            }
        }
        Ok(None)
    }

    async fn compile_and_open(&self, digest: Digest, component: &Path) -> Result<(&Runtime, Component), Error> {
        let runtime = self.0.runtimes.of(self.compile(digest, component).await?);
        match runtime.open(digest).await? {
            Artifact::Ready(component) => Ok((runtime, component)),
            // For example, it has more memories than a slot of the pool.
            Artifact::Unusable(reason) => Err(Error::Compile(reason)),
            Artifact::Missing => Err(Error::CompileCrash("the artifact has vanished".to_owned())),
        }
    }
}

impl Runtime {
    async fn open(&self, digest: Digest) -> Result<Artifact, Error> {
        let (artifacts, engine) = (self.artifacts.clone(), self.wasmtime.clone());
        let open = move || Ok(artifacts.open(digest)?.map_or(Artifact::Missing, |file| deserialize(&engine, &file)));
        blocking(open).await.map_err(Error::files("the cache of compiled components cannot be read"))
    }

    fn link(&self, digest: Digest, component: &Component) -> wasmtime::Result<Loaded> {
        let ready = self.linker.instantiate_pre(component)?;
        let program = match Kind::of(component) {
            Some(Kind::Flow01) => Program::Flow01(v0_1::FlowPre::new(ready)?),
            Some(Kind::Flow02) => Program::Flow02(v0_2::FlowPre::new(ready)?),
            Some(Kind::WasiHttp03) => Program::Http03(ServicePre::new(ready)?),
            Some(Kind::Transform01) => Program::Transform(transform_v0_1::TransformPre::new(ready)?),
            _ => Program::Http02(ProxyPre::new(ready)?),
        };
        Ok(Loaded { digest, program })
    }
}

/// What the cache has for a version.
enum Artifact {
    Ready(Component),
    Missing,
    Unusable(String),
}

/// Maps a verified artifact into memory.
fn deserialize(engine: &wasmtime::Engine, path: &Path) -> Artifact {
    #[expect(unsafe_code, reason = "the artifact is the host's own: its signature has just been verified")]
    let component = unsafe { Component::deserialize_file(engine, path) };
    component.map_or_else(|error| Artifact::Unusable(format!("{error:#}")), Artifact::Ready)
}

/// The directory of artifacts: `<compatibility>/<digest>.cwasm` and, beside each, its signature in `<digest>.mac`.
#[derive(Clone)]
pub(super) struct Artifacts {
    dir: PathBuf,
    compatibility: String,
    key: [u8; 32],
}

impl Artifacts {
    /// The artifacts of `engine` in `cache_dir`.
    pub(super) fn new(cache_dir: &Path, key: [u8; 32], engine: &wasmtime::Engine) -> Self {
        let compatibility = settings::compatibility(engine);
        Self { dir: cache_dir.join(&compatibility), compatibility, key }
    }

    /// Removes from `cache_dir` what no engine will load: artifacts of other builds, and what a crash left unfinished.
    pub(super) fn clear(cache_dir: &Path, own: &[&Self]) {
        for other in entries(cache_dir).filter(|path| own.iter().all(|own| *path != own.dir) && is_compatibility(path))
        {
            discard(&other, fs::remove_dir_all(&other));
        }
        for unfinished in own.iter().flat_map(|own| entries(&own.dir)).filter(|path| is_unfinished(path)) {
            discard(&unfinished, fs::remove_file(&unfinished));
        }
    }

    /// A file of the directory to write an artifact to. It is removed when dropped.
    pub(super) async fn temporary(&self) -> Result<NamedTempFile, Error> {
        let dir = self.dir.clone();
        let create = move || {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
            NamedTempFile::with_prefix_in(UNFINISHED, &dir)
        };
        blocking(create).await.map_err(Error::files("the cache of compiled components cannot be written"))
    }

    /// Signs `artifact` and keeps it under `digest`.
    pub(super) async fn keep(&self, digest: Digest, artifact: NamedTempFile) -> Result<(), Error> {
        let this = self.clone();
        let keep = move || {
            let mac = this.sign(digest, &mut File::open(artifact.path())?)?.finalize().into_bytes();
            fs::set_permissions(artifact.path(), Permissions::from_mode(0o600))?;
            let mut signature = NamedTempFile::with_prefix_in(UNFINISHED, &this.dir)?;
            signature.write_all(&mac)?;
            // A crash between the two leaves a pair that does not verify, which is as good as none.
            artifact.persist(this.path(digest, "cwasm"))?;
            signature.persist(this.path(digest, "mac"))?;
            Ok(())
        };
        blocking(keep).await.map_err(Error::files("the compiled component cannot be kept"))
    }

    pub(super) async fn remove(&self, digest: Digest) {
        let paths = ["cwasm", "mac"].map(|extension| self.path(digest, extension));
        // What was not there needs no removal, and what cannot be removed is only a file too many.
        let _ = blocking(move || paths.iter().try_for_each(fs::remove_file)).await;
    }

    /// The path of a verified artifact; none when there is none, or one that this host did not sign.
    fn open(&self, digest: Digest) -> io::Result<Option<PathBuf>> {
        let path = self.path(digest, "cwasm");
        let files = File::open(&path).and_then(|artifact| Ok((artifact, fs::read(self.path(digest, "mac"))?)));
        let (mut artifact, signature) = match files {
            Ok(files) => files,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let genuine = self.sign(digest, &mut artifact)?.verify_slice(&signature).is_ok();
        if !genuine {
            tracing::warn!(%digest, "artifact not signed by this host, compiling again");
        }
        Ok(genuine.then_some(path))
    }

    fn sign(&self, digest: Digest, artifact: &mut File) -> io::Result<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("any key length is right for HMAC");
        mac.update(b"flowgate artifact 1\0");
        mac.update(self.compatibility.as_bytes());
        mac.update(digest.as_bytes());
        artifact.rewind()?;
        let mut buffer = vec![0; 64 << 10];
        loop {
            match artifact.read(&mut buffer)? {
                0 => return Ok(mac),
                read => mac.update(&buffer[..read]),
            }
        }
    }

    fn path(&self, digest: Digest, extension: &str) -> PathBuf {
        self.dir.join(format!("{}.{extension}", digest.hex()))
    }
}

/// What lies in a folder; nothing when it cannot be read.
fn entries(dir: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path())
}

fn is_unfinished(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(UNFINISHED.as_bytes()))
}

/// Whether a folder is named as [`settings::compatibility`] names them; whatever else lies there is not the engine's.
fn is_compatibility(path: &Path) -> bool {
    let name = path.file_name().map_or(&b""[..], |name| name.as_encoded_bytes());
    name.len() == 16 && name.iter().all(u8::is_ascii_hexdigit)
}

/// Takes note of a removal. What cannot be removed is in nobody's way.
fn discard(path: &Path, removed: io::Result<()>) {
    if let Err(error) = removed {
        tracing::warn!(path = %path.display(), %error, "old artifact not removed");
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capability;
    use crate::engine::Compiler;
    use crate::engine::testing::{House, digest};

    /// A compiler whose use is an error.
    fn none() -> Compiler {
        Compiler::Child(PathBuf::from("/nonexistent/compiler"))
    }

    /// Puts another file in the place of one that may be mapped into memory, and so must not be written to.
    fn replace(path: &Path, bytes: &[u8]) {
        fs::remove_file(path).unwrap();
        fs::write(path, bytes).unwrap();
    }

    #[tokio::test]
    async fn an_artifact_is_compiled_once_and_kept_for_the_host_alone() {
        let house = House::new();
        let loaded = house.engine(Compiler::InProcess, 1).load(digest(), &house.component()).await.unwrap();
        assert_eq!((loaded.kind(), loaded.digest()), (Kind::Flow01, digest()));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&house.cached("cwasm")), 0o600);
        assert_eq!(mode(&house.cached("mac")), 0o600);
        assert_eq!(mode(house.cached("mac").parent().unwrap()), 0o700);
        house.engine(none(), 1).load(digest(), &house.component()).await.unwrap();
    }

    #[tokio::test]
    async fn what_this_host_did_not_sign_is_compiled_again() {
        let house = House::new();
        house.engine(Compiler::InProcess, 1).load(digest(), &house.component()).await.unwrap();
        let other_key = house.engine(none(), 2).load(digest(), &house.component()).await;
        assert!(matches!(other_key, Err(Error::Files { .. })), "the compiler was not asked");

        let genuine = fs::read(house.cached("cwasm")).unwrap();
        let mut forged = genuine.clone();
        *forged.last_mut().unwrap() ^= 1;
        replace(&house.cached("cwasm"), &forged);
        assert!(house.engine(none(), 1).load(digest(), &house.component()).await.is_err());
        house.engine(Compiler::InProcess, 1).load(digest(), &house.component()).await.unwrap();
        assert_ne!(fs::read(house.cached("cwasm")).unwrap(), forged);
    }

    #[tokio::test]
    async fn an_artifact_of_another_build_is_compiled_again() {
        let house = House::new();
        let engine = house.engine(Compiler::InProcess, 1);
        engine.load(digest(), &house.component()).await.unwrap();
        // Genuine by its signature, and yet nothing that can be loaded.
        replace(&house.cached("cwasm"), b"of another build");
        let mac = engine
            .0
            .runtimes
            .synchronous
            .artifacts
            .sign(digest(), &mut File::open(house.cached("cwasm")).unwrap())
            .unwrap();
        fs::write(house.cached("mac"), mac.finalize().into_bytes()).unwrap();
        house.engine(Compiler::InProcess, 1).load(digest(), &house.component()).await.unwrap();
    }

    #[tokio::test]
    async fn a_component_too_large_for_a_slot_is_the_flows_fault() {
        let house = House::new();
        let capability = capability::Options { table_elements_max: 0, ..capability::Options::default() };
        let refused = house.start(Compiler::InProcess, 1, capability).load(digest(), &house.component()).await;
        assert!(matches!(&refused, Err(Error::Compile(reason)) if reason.contains("table")), "{:?}", refused.err());
    }

    #[tokio::test]
    async fn a_start_removes_what_no_build_will_load() {
        let house = House::new();
        house.engine(Compiler::InProcess, 1).load(digest(), &house.component()).await.unwrap();
        let (old, unfinished) =
            (house.cache().join("0123456789abcdef"), house.cached("cwasm").with_file_name("compiling-x"));
        let foreign = house.cache().join("somebody's");
        fs::create_dir(&old).unwrap();
        fs::create_dir(&foreign).unwrap();
        fs::write(&unfinished, b"half").unwrap();
        house.engine(none(), 1).load(digest(), &house.component()).await.unwrap();
        assert!(!old.exists() && !unfinished.exists() && foreign.exists());
    }

    #[tokio::test]
    async fn a_forgotten_version_leaves_nothing() {
        let house = House::new();
        let engine = house.engine(Compiler::InProcess, 1);
        engine.load(digest(), &house.component()).await.unwrap();
        engine.forget(digest()).await;
        assert!(!house.cached("cwasm").exists() && !house.cached("mac").exists());
    }
}
