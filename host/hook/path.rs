//! The ids by which senders know hooks in the paths of a product, so that who moves here changes only the host name.

use std::sync::Arc;

use super::{CACHED_MAX, Error, Hook, Hooks};
use crate::cache::Cache;
use crate::dialect::Dialect;
use crate::id::{HookId, WorkspaceId};

/// The longest path id.
const CHARACTERS_MAX: usize = 128;

pub(super) const ALLOWED: &str = "1 to 128 of A-Z, a-z, 0-9, `-`, `.`, `_` and `~`, not beginning with `hok_`";

/// Which hook has a path id, as far as it was asked for. That none has it is remembered too.
///
/// An entry may name a hook that has given the path id up, so whoever reads one looks at the hook. It never hides a hook
/// that has taken it: that one's change forgets the entry.
pub(super) struct Paths(Cache<(Dialect, String), Option<HookId>>);

impl Paths {
    pub(super) fn new() -> Self {
        Self(Cache::new(CACHED_MAX))
    }

    pub(super) fn forget(&self, hook: &Hook) {
        if let Some(path_id) = &hook.path_id {
            self.0.forget(&(hook.spec.dialect.path_dialect(), path_id.clone()));
        }
    }
}

impl Hooks {
    /// The hook that `name`, its id or its path id, stands for in the paths of `dialect`; at `/hooks/{hook}`, which is
    /// [`Dialect::Native`], an id stands for a hook of any dialect. Cached; every change through this handle is seen at
    /// once.
    pub async fn at(&self, dialect: Dialect, name: &str) -> Result<Option<Arc<Hook>>, Error> {
        if let Ok(id) = name.parse::<HookId>() {
            let speaks = |hook: &Arc<Hook>| [Dialect::Native, hook.spec.dialect].contains(&dialect);
            return Ok(self.find(id).await?.filter(speaks));
        }
        if !is_path_id(name) {
            return Ok(None);
        }
        let key = (dialect, name.to_owned());
        let load = async {
            let found = self.0.store.hook_by_path(dialect.name().into_owned(), name.to_owned()).await?;
            Ok::<_, Error>(Some(found))
        };
        let Some(id) = self.0.paths.0.get(&key, load).await?.flatten() else { return Ok(None) };
        let has_it =
            |hook: &Arc<Hook>| hook.path_id.as_deref() == Some(name) && hook.spec.dialect.path_dialect() == dialect;
        Ok(self.find(id).await?.filter(has_it))
    }

    /// The hook with this path id, id or name in a workspace, as it is stored. A path id is one of `dialect`'s.
    pub async fn get_at(&self, dialect: Dialect, workspace: WorkspaceId, name: &str) -> Result<Hook, Error> {
        match self.at(dialect, name).await?.filter(|hook| hook.workspace == workspace) {
            Some(hook) => self.get(workspace, &hook.id.to_string()).await,
            None => self.get(workspace, name).await,
        }
    }
}

/// Whether a text can be a path id: unreserved characters of a URL (RFC 3986 §2.3), which stay as they are in a path. What
/// could be a hook's own id cannot, nor can what a path gives a meaning of its own.
pub(super) fn is_path_id(text: &str) -> bool {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    (1..=CHARACTERS_MAX).contains(&text.len())
        && text.bytes().all(unreserved)
        && !text.starts_with("hok_")
        && !matches!(text, "." | "..")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::hook::{NewHook, Spec};
    use crate::id::FlowId;
    use crate::signature::Scheme;
    use crate::store::Store;

    #[test]
    fn a_path_id_is_what_a_path_keeps_as_it_is() {
        for good in ["abc123", "A.b_c-d~", "550e8400-e29b-41d4-a716-446655440000", "...", &"x".repeat(128)] {
            assert!(is_path_id(good), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "a b", "é", "a%20", "hok_", "hok_0", &"x".repeat(129)] {
            assert!(!is_path_id(bad), "{bad}");
        }
    }

    fn hooks() -> (Hooks, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), &Default::default()).unwrap();
        (Hooks::new(store, Clock::system()), folder)
    }

    async fn made(hooks: &Hooks, name: &str, dialect: Dialect, path_id: &str) -> Result<Hook, Error> {
        let spec = Spec { dialect, ..Spec::new(vec![Scheme::named("none").unwrap()]) };
        let (path_id, name) = (Some(path_id.to_owned()), name.to_owned());
        let (workspace, flow) = (WorkspaceId::from_bytes([1; 16]), FlowId::from_bytes([2; 16]));
        hooks.create(NewHook { workspace, flow, name, path_id, spec, secret: None, callback_password: None }).await
    }

    #[tokio::test]
    async fn a_path_id_is_one_hooks_in_the_paths_of_its_dialect() {
        let (hooks, _folder) = hooks();
        let agent = made(&hooks, "a", Dialect::Almyty, "abc").await.unwrap();
        let autom = made(&hooks, "b", Dialect::Autommate, "abc").await.unwrap();
        let bot = made(&hooks, "c", Dialect::Cognigy, "abc").await.unwrap();
        for (dialect, hook) in [(Dialect::Almyty, &agent), (Dialect::Autommate, &autom), (Dialect::Native, &bot)] {
            let found = hooks.at(dialect, "abc").await.unwrap().unwrap();
            assert_eq!(found.id, hook.id);
        }
        assert!(hooks.at(Dialect::Agenticflow, "abc").await.unwrap().is_none());
        // Products without a path of their own share one.
        let taken = made(&hooks, "d", Dialect::Uptiq, "abc").await.unwrap_err();
        assert!(matches!(&taken, Error::PathTaken(id) if id == "abc"), "{taken:?}");
        let taken = made(&hooks, "a", Dialect::Almyty, "other").await.unwrap_err();
        assert!(matches!(&taken, Error::Taken(name) if name == "a"), "{taken:?}");
    }

    #[tokio::test]
    async fn a_path_id_that_moves_is_never_answered_by_the_hook_that_had_it() {
        let (hooks, _folder) = hooks();
        assert!(hooks.at(Dialect::Almyty, "abc").await.unwrap().is_none());
        let mut first = made(&hooks, "a", Dialect::Almyty, "abc").await.unwrap();
        assert_eq!(hooks.at(Dialect::Almyty, "abc").await.unwrap().unwrap().id, first.id, "its absence was forgotten");
        first.path_id = Some("other".to_owned());
        let first = hooks.update(first).await.unwrap();
        assert!(hooks.at(Dialect::Almyty, "abc").await.unwrap().is_none());
        assert_eq!(hooks.at(Dialect::Almyty, "other").await.unwrap().unwrap().id, first.id);
        let second = made(&hooks, "b", Dialect::Almyty, "abc").await.unwrap();
        assert_eq!(hooks.at(Dialect::Almyty, "abc").await.unwrap().unwrap().id, second.id);
        hooks.delete(&second).await.unwrap();
        assert!(hooks.at(Dialect::Almyty, "abc").await.unwrap().is_none());
        let mut moved = first;
        moved.spec.dialect = Dialect::Autommate;
        let moved = hooks.update(moved).await.unwrap();
        assert!(hooks.at(Dialect::Almyty, "other").await.unwrap().is_none());
        assert_eq!(hooks.at(Dialect::Autommate, "other").await.unwrap().unwrap().id, moved.id);
    }
}
