//! The reference registry: the program `docker-registry` (<https://github.com/distribution/distribution>), as Debian has it.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// A line of an `htpasswd` file: `ada`, whose password is `s3cret`.
pub(crate) const ADA: &str = "ada:$2b$04$SyJ2cVCE2zlKUeUjG4C7yu4WitxvZZ9rE18u1nZdXhcIZnz5KorK2";

/// A registry on this machine. Dropped, it is killed, and what it kept is gone.
pub(crate) struct Reference {
    child: Child,
    folder: TempDir,
    /// `127.0.0.1:port`
    pub(crate) host: String,
}

impl Reference {
    /// One for everybody.
    pub(crate) async fn start() -> Self {
        Self::configured("").await
    }

    /// One for those of an `htpasswd` file with this line.
    pub(crate) async fn for_only(user: &str) -> Self {
        Self::configured(user).await
    }

    async fn configured(user: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (data, users) = (folder.path().join("data"), folder.path().join("users"));
        let auth = format!("auth:\n  htpasswd:\n    realm: test\n    path: {}\n", users.display());
        let auth = if user.is_empty() { "" } else { &auth };
        let config = format!(
            "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: 127.0.0.1:0\n  secret: of this test\n{auth}",
            data.display()
        );
        fs::write(&users, user).unwrap();
        fs::write(folder.path().join("config.yml"), config).unwrap();
        let mut command = Command::new(program());
        command.arg("serve").arg(folder.path().join("config.yml"));
        tokio::task::spawn_blocking(move || Self::listening(command, folder)).await.unwrap()
    }

    /// Starts it, and reads on stderr where it listens.
    fn listening(mut command: Command, folder: TempDir) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut told = String::new();
        let host = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let host = line.split_once("listening on ").map(|(_, rest)| rest.split('"').next().unwrap().to_owned());
            told += &line;
            host
        });
        let host = host.unwrap_or_else(|| panic!("it does not listen: {told}"));
        // Whatever it says later must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, folder, host }
    }

    /// A blob as it lies there.
    pub(crate) fn blob(&self, digest: &str) -> Vec<u8> {
        let hex = digest.strip_prefix("sha256:").unwrap();
        fs::read(self.kept().join(format!("blobs/sha256/{}/{hex}/data", &hex[..2]))).unwrap()
    }

    /// The digest of the manifest that a tag stands for.
    pub(crate) fn tagged(&self, repository: &str, tag: &str) -> String {
        let link = format!("repositories/{repository}/_manifests/tags/{tag}/current/link");
        fs::read_to_string(self.kept().join(link)).unwrap()
    }

    fn kept(&self) -> PathBuf {
        self.folder.path().join("data/docker/registry/v2")
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program that `cargo xtask senders` has installed, or the system's.
fn program() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/registry/usr/bin/docker-registry");
    if own.exists() {
        return own;
    }
    let system = PathBuf::from("docker-registry");
    let found = Command::new(&system).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    assert!(found.is_ok(), "`docker-registry` is missing; `cargo xtask senders` installs it");
    system
}
