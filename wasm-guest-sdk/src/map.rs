//! A map of numbers that the host or this crate gives out: nobody can choose them so that they
//! collide, so one multiplication spreads them, and no random seed is asked for.
//!
//! Std's maps make a component larger by several KiB each.

/// A map from numbers to values.
pub(crate) struct Map<V> {
    index: Index,
    values: Vec<Option<V>>,
}

impl<V> Map<V> {
    pub(crate) const fn new() -> Self {
        Self { index: Index::new(), values: Vec::new() }
    }

    /// Puts a value in: the key must not be there.
    pub(crate) fn insert(&mut self, key: u64, value: V) {
        let place = self.index.insert(key);
        match self.values.get_mut(place) {
            Some(free) => *free = Some(value),
            None => self.values.push(Some(value)),
        }
    }

    pub(crate) fn get(&self, key: u64) -> Option<&V> {
        self.values.get(self.index.find(key)?)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, key: u64) -> Option<&mut V> {
        self.values.get_mut(self.index.find(key)?)?.as_mut()
    }

    pub(crate) fn remove(&mut self, key: u64) -> Option<V> {
        self.values.get_mut(self.index.remove(key)?)?.take()
    }

    /// Takes everything out.
    pub(crate) fn take(&mut self) -> impl Iterator<Item = V> + use<V> {
        self.index = Index::new();
        std::mem::take(&mut self.values).into_iter().flatten()
    }
}

/// Where each key's value is: once for all maps, whatever their values are.
struct Index {
    /// Open addressing: a power of two of them, or none, and at most half of them taken.
    slots: Vec<Slot>,
    taken: usize,
    /// Places that are free again.
    free: Vec<usize>,
}

#[derive(Copy, Clone)]
struct Slot {
    key: u64,
    place: usize,
}

const EMPTY: Slot = Slot { key: 0, place: usize::MAX };

const FIRST: usize = 8;

impl Index {
    const fn new() -> Self {
        Self { slots: Vec::new(), taken: 0, free: Vec::new() }
    }

    /// A place for a key that has none.
    fn insert(&mut self, key: u64) -> usize {
        if self.taken * 2 >= self.slots.len() {
            self.grow();
        }
        let place = self.free.pop().unwrap_or(self.taken);
        self.taken += 1;
        self.put(Slot { key, place });
        place
    }

    fn find(&self, key: u64) -> Option<usize> {
        Some(self.slots[self.at(key)?].place)
    }

    fn remove(&mut self, key: u64) -> Option<usize> {
        let mut hole = self.at(key)?;
        let place = self.slots[hole].place;
        self.free.push(place);
        self.taken -= 1;
        // What follows moves up, unless it is where it belongs.
        let mask = self.slots.len() - 1;
        let mut next = hole;
        loop {
            next = (next + 1) & mask;
            let slot = self.slots[next];
            if slot.place == EMPTY.place {
                break;
            }
            let came_from = spread(slot.key) & mask;
            if next.wrapping_sub(came_from) & mask >= next.wrapping_sub(hole) & mask {
                self.slots[hole] = slot;
                hole = next;
            }
        }
        self.slots[hole] = EMPTY;
        Some(place)
    }

    /// The slot of a key that is there.
    fn at(&self, key: u64) -> Option<usize> {
        let mask = self.slots.len().checked_sub(1)?;
        let mut at = spread(key) & mask;
        loop {
            let slot = self.slots[at];
            if slot.place == EMPTY.place {
                return None;
            }
            if slot.key == key {
                return Some(at);
            }
            at = (at + 1) & mask;
        }
    }

    fn put(&mut self, slot: Slot) {
        let mask = self.slots.len() - 1;
        let mut at = spread(slot.key) & mask;
        while self.slots[at].place != EMPTY.place {
            at = (at + 1) & mask;
        }
        self.slots[at] = slot;
    }

    fn grow(&mut self) {
        let count = (self.slots.len() * 2).max(FIRST);
        for slot in std::mem::replace(&mut self.slots, vec![EMPTY; count]) {
            if slot.place != EMPTY.place {
                self.put(slot);
            }
        }
    }
}

/// 2^64 by the golden ratio: neighbours land far apart, in the upper half.
fn spread(key: u64) -> usize {
    (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::collections::btree_map::Entry;

    use super::Map;

    #[test]
    fn what_is_put_in_is_found_until_it_is_taken_out() {
        let mut map = Map::new();
        assert_eq!(map.get(1), None);
        assert_eq!(map.remove(1), None);
        // Strides that leave the lower bits alone are spread too.
        let keys = || (0..1000_u64).flat_map(|n| [n, n << 24, u64::MAX - n]).skip(1);
        let keys: std::collections::BTreeSet<u64> = keys().collect();
        for key in &keys {
            map.insert(*key, key.to_string());
        }
        for key in &keys {
            assert_eq!(map.get(*key), Some(&key.to_string()));
            map.get_mut(*key).unwrap().push('!');
            assert_eq!(map.remove(*key), Some(format!("{key}!")));
            assert_eq!(map.get(*key), None);
        }
        map.insert(7, "seven".to_owned());
        assert_eq!(map.take().collect::<Vec<_>>(), ["seven"]);
        assert_eq!(map.get(7), None);
    }

    /// Whatever is taken out between, in whatever order, the others stay where they are found.
    #[test]
    fn it_is_as_any_other_map() {
        let mut map = Map::new();
        let mut plain = BTreeMap::new();
        let mut random = 1_u64;
        for step in 0..20_000_u64 {
            random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            // Few keys, so that they meet; sometimes more, so that it grows while it is full.
            let key = (random >> 33) % if step % 4096 < 2048 { 40 } else { 400 };
            if let Entry::Vacant(place) = plain.entry(key) {
                map.insert(key, step);
                place.insert(step);
            } else {
                assert_eq!(map.remove(key), plain.remove(&key));
            }
            let other = (random >> 21) % 400;
            assert_eq!(map.get(other), plain.get(&other), "{other} after {step} steps");
        }
        let mut left: Vec<_> = map.take().collect();
        left.sort_unstable();
        let mut expected: Vec<_> = plain.into_values().collect();
        expected.sort_unstable();
        assert_eq!(left, expected);
    }
}
