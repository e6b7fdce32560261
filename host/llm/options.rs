//! Which models there are: a section `[models.<alias>]` of the configuration for each.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use url::Url;

use super::mock::Rule;

/// The models by their aliases, which are what flows know. One, `mock`, is always there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Options(pub BTreeMap<String, Spec>);

impl Default for Options {
    fn default() -> Self {
        Self(BTreeMap::from([("mock".to_owned(), Spec::default())]))
    }
}

/// What an alias stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Spec {
    /// Who is asked, and in which format.
    pub provider: Provider,
    /// The part of the provider's URLs that all have in common, for example `https://api.openai.com/v1`. It may be
    /// called, whatever its address, since it stands here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Url>,
    /// The provider's name of the model.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub model: String,
    /// The environment variable with the key.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub key_env: String,
    /// The file with the key, where it is not in a variable.
    #[serde(skip_serializing_if = "path_is_empty")]
    pub key_file: PathBuf,
    /// Millionths of a US dollar for a million tokens in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_micro_usd_per_mtok: Option<u64>,
    /// The same for those of them that the provider had cached; the price of the others when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cached_micro_usd_per_mtok: Option<u64>,
    /// Millionths of a US dollar for a million tokens out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_micro_usd_per_mtok: Option<u64>,
    /// Tokens of a reply at most, whatever the flow asks for.
    pub max_tokens: u32,
    /// Milliseconds for a whole call.
    pub timeout_ms: u64,
    /// Aliases that are asked in turn when this one fails before its reply begins.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fallback: Vec<String>,
    /// What a `mock` does.
    #[serde(skip_serializing_if = "Mode::is_echo")]
    pub mode: Mode,
    /// The script of a `mock`, for the mode `script`.
    #[serde(skip_serializing_if = "path_is_empty")]
    pub script: PathBuf,
    /// The rules of that script themselves, instead of a file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
    /// The folder of recorded calls, for the modes `record` and `replay`.
    #[serde(skip_serializing_if = "path_is_empty")]
    pub folder: PathBuf,
    /// The alias whose calls are recorded, for the mode `record`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub of: String,
}

impl Default for Spec {
    /// A mock that echoes; 4,096 tokens and a minute.
    fn default() -> Self {
        Self {
            provider: Provider::Mock,
            url: None,
            model: String::new(),
            key_env: String::new(),
            key_file: PathBuf::new(),
            input_micro_usd_per_mtok: None,
            cached_micro_usd_per_mtok: None,
            output_micro_usd_per_mtok: None,
            max_tokens: 4_096,
            timeout_ms: 60_000,
            fallback: Vec::new(),
            mode: Mode::Echo,
            script: PathBuf::new(),
            rules: Vec::new(),
            folder: PathBuf::new(),
            of: String::new(),
        }
    }
}

/// Who is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// OpenAI, or whoever speaks its chat completions: vLLM, llama.cpp, LM Studio, OpenRouter, Groq, Mistral, …
    OpenAi,
    /// Anthropic, or whoever speaks its Messages.
    Anthropic,
    /// Ollama, by its form of OpenAI's format.
    Ollama,
    /// Nobody: the host answers by itself.
    Mock,
}

/// What a mock does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Says what the user said.
    #[default]
    Echo,
    /// Answers by the rules of a file.
    Script,
    /// Asks another model, and keeps its answers.
    Record,
    /// Answers what was recorded.
    Replay,
}

impl Mode {
    fn is_echo(&self) -> bool {
        *self == Self::Echo
    }
}

impl Provider {
    /// Its name in spans, from the registry of the OpenTelemetry GenAI conventions where it is there.
    pub fn name(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
            Self::Ollama => "ollama",
            Self::Mock => "mock",
        }
    }

    fn default_url(self) -> Option<&'static str> {
        match self {
            Self::OpenAi => Some("https://api.openai.com/v1"),
            Self::Anthropic => Some("https://api.anthropic.com/v1"),
            Self::Ollama => Some("http://127.0.0.1:11434/v1"),
            Self::Mock => None,
        }
    }
}

impl Spec {
    /// Where the provider is; none for a mock.
    pub fn base_url(&self) -> Option<Url> {
        self.url.clone().or_else(|| Url::parse(self.provider.default_url()?).ok())
    }

    /// What is wrong with the alias, or with what it stands for: the key and the fix.
    pub fn check(&self, alias: &str) -> Result<(), (&'static str, String)> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
        if !(1..=64).contains(&alias.len()) || !alias.chars().all(plain) {
            return Err(("", "is not an alias; allowed: 1 to 64 of `a-z 0-9 _ -`".to_owned()));
        }
        let mock = self.provider == Provider::Mock;
        if !mock && self.model.is_empty() {
            return Err(("model", "is missing; allowed: the provider's name of the model".to_owned()));
        }
        if let Some(url) = &self.url
            && (mock
                || !matches!(url.scheme(), "http" | "https")
                || !url.username().is_empty()
                || url.query().is_some())
        {
            return Err(("url", "is refused; allowed: an http or https URL without credentials and query".to_owned()));
        }
        if !self.key_env.is_empty() && !self.key_file.as_os_str().is_empty() {
            return Err(("key_file", "is given beside `key_env`; allowed: one of them".to_owned()));
        }
        if self.max_tokens == 0 || self.max_tokens > 10_000_000 {
            return Err(("max_tokens", "is out of range; allowed: a whole number from 1 to 10000000".to_owned()));
        }
        if self.timeout_ms == 0 || self.timeout_ms > 3_600_000 {
            return Err(("timeout_ms", "is out of range; allowed: a whole number from 1 to 3600000".to_owned()));
        }
        match self.mode {
            Mode::Echo => Ok(()),
            _ if !mock => Err(("mode", "is for `provider = \"mock\"` only".to_owned())),
            Mode::Script if self.script.as_os_str().is_empty() && self.rules.is_empty() => {
                Err(("script", "is missing; allowed: the path of a script, or `rules` instead".to_owned()))
            }
            Mode::Script if !self.script.as_os_str().is_empty() && !self.rules.is_empty() => {
                Err(("rules", "is given beside `script`; allowed: one of them".to_owned()))
            }
            Mode::Record | Mode::Replay if self.folder.as_os_str().is_empty() => {
                Err(("folder", "is missing; allowed: the path of a folder".to_owned()))
            }
            Mode::Record if self.of.is_empty() => Err(("of", "is missing; allowed: the alias to record".to_owned())),
            _ => Ok(()),
        }
    }
}

impl Options {
    /// What is wrong with how the aliases stand to each other: the alias, the key and the fix.
    pub fn check(&self) -> Result<(), (String, &'static str, String)> {
        for (alias, spec) in &self.0 {
            for other in &spec.fallback {
                if other == alias || !self.0.contains_key(other) {
                    let wrong = format!("names `{other}`; allowed: other aliases that are configured");
                    return Err((alias.clone(), "fallback", wrong));
                }
            }
            let recorded = self.0.get(&spec.of);
            if spec.mode == Mode::Record && recorded.is_none_or(|other| other.mode == Mode::Record) {
                let wrong = format!("names `{}`; allowed: another alias that records nothing itself", spec.of);
                return Err((alias.clone(), "of", wrong));
            }
        }
        Ok(())
    }
}

fn path_is_empty(path: &Path) -> bool {
    path.as_os_str().is_empty()
}
