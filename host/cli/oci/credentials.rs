//! Who one is for a registry.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use oci_client::secrets::RegistryAuth;
use serde_json::Value;

/// From the command line, else from the file of `docker login`.
#[derive(Debug, clap::Args)]
pub(super) struct Credentials {
    /// The user. Without one, what `docker login` has saved is used.
    #[arg(long, env = "FLOWGATE_REGISTRY_USER", value_name = "NAME", requires = "secret")]
    user: Option<String>,
    /// The user's password or token.
    #[arg(
        long = "registry-password",
        env = "FLOWGATE_REGISTRY_PASSWORD",
        hide_env_values = true,
        hide = true,
        group = "secret",
        requires = "user"
    )]
    password: Option<String>,
    /// Read the password from stdin; FLOWGATE_REGISTRY_PASSWORD does as well.
    #[arg(long, group = "secret", requires = "user")]
    password_stdin: bool,
    /// The folder of `docker login`, ~/.docker unless it is set.
    #[arg(long, env = "DOCKER_CONFIG", hide = true)]
    docker_config: Option<PathBuf>,
}

impl Credentials {
    /// Those for a registry.
    pub(super) fn of(&self, registry: &str) -> anyhow::Result<RegistryAuth> {
        let password = match (self.password_stdin, &self.password) {
            (true, _) => {
                let mut password = String::new();
                std::io::stdin().lock().read_to_string(&mut password).context("cannot read stdin")?;
                Some(password.trim_end_matches(['\r', '\n']).to_owned())
            }
            (false, password) => password.clone(),
        };
        if let (Some(user), Some(password)) = (&self.user, password) {
            return Ok(RegistryAuth::Basic(user.clone(), password));
        }
        let folder = self.docker_config.clone().or_else(|| Some(std::env::home_dir()?.join(".docker")));
        match folder.map(|folder| folder.join("config.json")).filter(|file| file.is_file()) {
            Some(file) => saved(&file, registry).with_context(|| file.display().to_string()),
            None => Ok(RegistryAuth::Anonymous),
        }
    }
}

/// What `docker login` has saved in clear. What it gave to a keeper of secrets only that program can read.
fn saved(file: &Path, registry: &str) -> anyhow::Result<RegistryAuth> {
    let config: Value = serde_json::from_str(&std::fs::read_to_string(file)?)?;
    if let Some(auth) = config["auths"][registry]["auth"].as_str().filter(|auth| !auth.is_empty()) {
        let text = String::from_utf8(BASE64_STANDARD.decode(auth)?)?;
        let (user, password) = text.split_once(':').context("`auth` is not `user:password` in base64")?;
        return Ok(RegistryAuth::Basic(user.to_owned(), password.to_owned()));
    }
    let keeper = config["credHelpers"][registry].as_str().or(config["credsStore"].as_str());
    match keeper.filter(|_| config["auths"].get(registry).is_some() || config["credHelpers"].get(registry).is_some()) {
        Some(keeper) => bail!(
            "the password for {registry} is with docker-credential-{keeper}; give it by `--user NAME --password-stdin`"
        ),
        None => Ok(RegistryAuth::Anonymous),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_docker_login_saved_is_used_for_its_registry_only() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.json");
        let auth = BASE64_STANDARD.encode("ada:s3cret:x");
        let config = json!({ "auths": { "r.example": { "auth": auth }, "kept.example": {} }, "credsStore": "pass" });
        std::fs::write(&file, config.to_string()).unwrap();
        assert_eq!(saved(&file, "r.example").unwrap(), RegistryAuth::Basic("ada".into(), "s3cret:x".into()));
        assert_eq!(saved(&file, "other.example").unwrap(), RegistryAuth::Anonymous);
        let told = saved(&file, "kept.example").unwrap_err().to_string();
        assert!(told.contains("docker-credential-pass") && told.contains("--password-stdin"), "{told}");
    }
}
