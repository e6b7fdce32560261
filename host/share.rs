//! Places that are shared out among owners: a free one goes to whoever waits and has least, so that nobody who takes many
//! keeps out those who take few.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// So many places. Clones share them.
#[derive(Debug)]
pub struct Shares<K: Copy + Eq + Hash>(Arc<Mutex<State<K>>>);

#[derive(Debug)]
struct State<K: Copy + Eq + Hash> {
    free: usize,
    /// An owner may have so many times the places that are free, and no more.
    times_free_max: usize,
    owners: HashMap<K, Owner<K>>,
    /// Counts up: the next ticket of a waiter, and the time of an owner's last place.
    count: u64,
}

#[derive(Debug)]
struct Owner<K: Copy + Eq + Hash> {
    taken: usize,
    last: u64,
    waiting: BTreeMap<u64, oneshot::Sender<Share<K>>>,
}

/// A place that is taken. Dropped, it is free again.
#[derive(Debug)]
pub struct Share<K: Copy + Eq + Hash> {
    shares: Option<Shares<K>>,
    owner: K,
}

impl<K: Copy + Eq + Hash> Shares<K> {
    /// `places`, all of which one owner can have if nobody else wants any.
    pub fn new(places: usize) -> Self {
        Self::sparing(places, usize::MAX)
    }

    /// `places`, of which an owner has at most `times_free_max` times as many as are free: with 3, one owner alone gets three
    /// quarters of them.
    pub fn sparing(places: usize, times_free_max: usize) -> Self {
        Self(Arc::new(Mutex::new(State { free: places, times_free_max, owners: HashMap::new(), count: 0 })))
    }

    /// Waits for a place. Cancel safe: who no longer waits gets none.
    pub async fn take(&self, owner: K) -> Share<K> {
        let (ticket, place) = {
            let mut state = self.lock();
            if state.may(&owner) {
                return self.given(&mut state, owner);
            }
            let (sender, place) = oneshot::channel();
            let ticket = state.next();
            state.owner(owner).waiting.insert(ticket, sender);
            (ticket, place)
        };
        let _waiting = Waiting { shares: self, owner, ticket };
        place.await.expect("a waiter's sender is dropped only with its place or its wait")
    }

    /// How many places are free.
    pub fn free(&self) -> usize {
        self.lock().free
    }

    fn given(&self, state: &mut State<K>, owner: K) -> Share<K> {
        let now = state.next();
        state.free -= 1;
        let entry = state.owner(owner);
        (entry.taken, entry.last) = (entry.taken + 1, now);
        Share { shares: Some(self.clone()), owner }
    }

    /// Gives free places to those who wait, as far as they may have them.
    fn serve(&self, state: &mut State<K>) {
        loop {
            let waiting = state.owners.iter().filter(|(owner, entry)| !entry.waiting.is_empty() && state.may(owner));
            let next = waiting.min_by_key(|(_, entry)| (entry.taken, entry.last)).map(|(owner, _)| *owner);
            let Some(owner) = next else { return };
            let Some((_, sender)) = state.owner(owner).waiting.pop_first() else { return };
            if let Err(mut place) = sender.send(self.given(state, owner)) {
                // Whoever waited has just gone. The lock is held, so the place is not to give itself back.
                place.shares = None;
                state.give_back(owner);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<K>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Copy + Eq + Hash> Clone for Shares<K> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K: Copy + Eq + Hash> State<K> {
    fn may(&self, owner: &K) -> bool {
        let taken = self.owners.get(owner).map_or(0, |entry| entry.taken);
        self.free > 0 && taken < self.free.saturating_mul(self.times_free_max)
    }

    fn next(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    fn owner(&mut self, owner: K) -> &mut Owner<K> {
        self.owners.entry(owner).or_insert(Owner { taken: 0, last: 0, waiting: BTreeMap::new() })
    }

    fn give_back(&mut self, owner: K) {
        self.free += 1;
        self.owner(owner).taken -= 1;
        self.forget(owner);
    }

    fn forget(&mut self, owner: K) {
        if self.owners.get(&owner).is_some_and(|entry| entry.taken == 0 && entry.waiting.is_empty()) {
            self.owners.remove(&owner);
        }
    }
}

impl<K: Copy + Eq + Hash> Drop for Share<K> {
    fn drop(&mut self) {
        let Some(shares) = self.shares.take() else { return };
        let mut state = shares.lock();
        state.give_back(self.owner);
        shares.serve(&mut state);
    }
}

struct Waiting<'a, K: Copy + Eq + Hash> {
    shares: &'a Shares<K>,
    owner: K,
    ticket: u64,
}

impl<K: Copy + Eq + Hash> Drop for Waiting<'_, K> {
    fn drop(&mut self) {
        let mut state = self.shares.lock();
        if let Some(entry) = state.owners.get_mut(&self.owner) {
            entry.waiting.remove(&self.ticket);
            state.forget(self.owner);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_free_place_goes_to_who_has_least() {
        let shares = Shares::new(2);
        let (first, second) = (shares.take('a').await, shares.take('a').await);
        let mut greedy = Box::pin(shares.take('a'));
        let mut modest = Box::pin(shares.take('b'));
        assert!(greedy.as_mut().now_or_never().is_none() && modest.as_mut().now_or_never().is_none());
        drop(first);
        assert!(greedy.as_mut().now_or_never().is_none(), "`a` waits longer, and has one");
        let modest = modest.await;
        drop(second);
        let greedy = greedy.await;
        assert_eq!(shares.free(), 0);
        drop((modest, greedy));
        assert_eq!((shares.free(), shares.lock().owners.len()), (2, 0));
    }

    #[tokio::test]
    async fn those_who_have_nothing_take_turns() {
        let shares = Shares::new(1);
        let mut place = shares.take('a').await;
        let mut waiting: Vec<_> = ['a', 'a', 'b', 'b'].map(|owner| Box::pin(shares.take(owner))).into();
        waiting.iter_mut().for_each(|one| assert!(one.as_mut().now_or_never().is_none()));
        let mut order = Vec::new();
        while !waiting.is_empty() {
            drop(place);
            let next = waiting.iter_mut().enumerate().find_map(|(n, one)| Some((n, one.as_mut().now_or_never()?)));
            let n;
            (n, place) = next.expect("a free place is given to somebody who waits");
            drop(waiting.remove(n));
            order.push(place.owner);
        }
        assert_eq!(order, ['b', 'a', 'b', 'a']);
    }

    #[tokio::test]
    async fn one_owner_leaves_some_for_others() {
        let shares = Shares::sparing(8, 3);
        let mine: Vec<_> = (0..8).map_while(|_| shares.take('a').now_or_never()).collect();
        assert_eq!((mine.len(), shares.free()), (6, 2));
        assert!(shares.take('b').now_or_never().is_some());
    }

    #[tokio::test]
    async fn who_no_longer_waits_gets_no_place() {
        let shares = Shares::new(1);
        let place = shares.take('a').await;
        let mut gone = Box::pin(shares.take('b'));
        assert!(gone.as_mut().now_or_never().is_none());
        drop(gone);
        drop(place);
        assert_eq!((shares.free(), shares.lock().owners.len()), (1, 0));
        let place = shares.take('a').await;
        let mut given = Box::pin(shares.take('b'));
        assert!(given.as_mut().now_or_never().is_none());
        drop(place);
        drop(given);
        assert_eq!((shares.free(), shares.lock().owners.len()), (1, 0), "given, and never taken");
    }
}
