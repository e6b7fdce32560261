//! Secrets that a flow can use and does not see.

/// Secrets of one flow.
pub const SECRETS_MAX: usize = 100;

/// Characters of the shortest secret. A shorter one can be guessed, and could not be told from other text in what leaves.
pub const SECRET_CHARS_MIN: usize = 8;

/// Characters of the longest secret.
pub const SECRET_CHARS_MAX: usize = 8 << 10;

const NAME_CHARS_MAX: usize = 64;

/// Checks the name of a secret. The error says what would be right.
pub fn check_secret_name(name: &str) -> Result<(), String> {
    let first = name.as_bytes().first().is_some_and(u8::is_ascii_uppercase);
    let all = name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    if first && all && name.len() <= NAME_CHARS_MAX {
        return Ok(());
    }
    Err(format!(
        "a secret's name is 1 to {NAME_CHARS_MAX} of the characters A-Z, 0-9 and `_`, and begins with a letter"
    ))
}
