//! Values that are read with every request and changed by hand: kept in memory, and never stale after a change.
//!
//! Whoever changes a value writes it first and forgets it here afterwards. A reader that had read the old value meanwhile
//! notices that something was forgotten, and does not leave it behind.

use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use moka::sync;

/// At most so many values by key; the least used ones make room.
pub struct Cache<K, V> {
    values: sync::Cache<K, V>,
    /// Counts what was forgotten.
    forgotten: AtomicU64,
}

impl<K, V> Cache<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// A cache of at most `values_max` values.
    pub fn new(values_max: u64) -> Self {
        Self { values: sync::Cache::new(values_max), forgotten: AtomicU64::new(0) }
    }

    /// A cache whose values are read again after `time`.
    pub fn lasting(values_max: u64, time: Duration) -> Self {
        let values = sync::Cache::builder().max_capacity(values_max).time_to_live(time).build();
        Self { values, forgotten: AtomicU64::new(0) }
    }

    /// The value of a key; `load` reads it when it is not here. An error and an absent value are not kept. Cancel safe.
    pub async fn get<E>(&self, key: &K, load: impl Future<Output = Result<Option<V>, E>>) -> Result<Option<V>, E> {
        if let Some(value) = self.values.get(key) {
            return Ok(Some(value));
        }
        let before = self.forgotten.load(Ordering::SeqCst);
        let loaded = load.await?;
        if let Some(value) = &loaded {
            self.values.insert(key.clone(), value.clone());
            if self.forgotten.load(Ordering::SeqCst) != before {
                self.values.invalidate(key);
            }
        }
        Ok(loaded)
    }

    /// Forgets the value of a key, which has changed.
    pub fn forget(&self, key: &K) {
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        self.values.invalidate(key);
    }

    /// Forgets the values of all keys that `changed` says yes to. Looks at every key.
    pub fn forget_if(&self, changed: impl Fn(&K) -> bool) {
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        for (key, _) in &self.values {
            if changed(&key) {
                self.values.invalidate(&*key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    async fn load(value: u32) -> Result<Option<u32>, Infallible> {
        Ok(Some(value))
    }

    #[tokio::test]
    async fn a_value_is_kept_until_it_is_forgotten() {
        let cache = Cache::new(10);
        assert_eq!(cache.get(&"a", load(1)).await, Ok(Some(1)));
        assert_eq!(cache.get(&"a", load(2)).await, Ok(Some(1)));
        cache.forget(&"a");
        assert_eq!(cache.get(&"a", load(2)).await, Ok(Some(2)));
        cache.forget_if(|key| *key == "a");
        assert_eq!(cache.get(&"a", load(3)).await, Ok(Some(3)));
    }

    #[tokio::test]
    async fn a_value_that_was_read_before_a_change_is_not_left_behind_after_it() {
        let cache = Cache::new(10);
        let old = async {
            // The change comes after the read and before the value is put into the cache.
            cache.forget(&"a");
            load(1).await
        };
        assert_eq!(cache.get(&"a", old).await, Ok(Some(1)));
        assert_eq!(cache.get(&"a", load(2)).await, Ok(Some(2)));
    }

    #[tokio::test]
    async fn what_is_not_there_is_asked_for_again() {
        let cache: Cache<&str, u32> = Cache::new(10);
        assert_eq!(cache.get(&"a", async { Ok::<_, Infallible>(None) }).await, Ok(None));
        assert_eq!(cache.get(&"a", load(1)).await, Ok(Some(1)));
    }
}
