//! A map of numbers that the host or this crate gives out: nobody can choose them so that they
//! collide, so one multiplication spreads them, and no random seed is asked for.
//!
//! Std's maps make a component larger by several KiB each.

/// A map from numbers to values: buckets, about as many as values.
pub(crate) struct Map<V> {
    /// A power of two of them, or none.
    buckets: Vec<Vec<(u64, V)>>,
    len: usize,
}

const FIRST: usize = 8;

impl<V> Map<V> {
    pub(crate) const fn new() -> Self {
        Self { buckets: Vec::new(), len: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Puts a value in: the key must not be there.
    pub(crate) fn insert(&mut self, key: u64, value: V) {
        if self.len >= self.buckets.len() {
            self.grow();
        }
        self.len += 1;
        self.put(key, value);
    }

    pub(crate) fn get(&self, key: u64) -> Option<&V> {
        self.bucket(key)?.iter().find(|(other, _)| *other == key).map(|(_, value)| value)
    }

    pub(crate) fn get_mut(&mut self, key: u64) -> Option<&mut V> {
        let place = self.place(key)?;
        let found = self.buckets[place].iter_mut().find(|(other, _)| *other == key);
        found.map(|(_, value)| value)
    }

    pub(crate) fn remove(&mut self, key: u64) -> Option<V> {
        let place = self.place(key)?;
        let bucket = &mut self.buckets[place];
        let at = bucket.iter().position(|(other, _)| *other == key)?;
        self.len -= 1;
        Some(bucket.swap_remove(at).1)
    }

    /// Takes everything out.
    pub(crate) fn take(&mut self) -> Vec<V> {
        self.len = 0;
        let mut values = Vec::new();
        for bucket in &mut self.buckets {
            while let Some((_, value)) = bucket.pop() {
                values.push(value);
            }
        }
        values
    }

    fn place(&self, key: u64) -> Option<usize> {
        // 2^64 by the golden ratio: neighbours land far apart, in the upper half.
        let spread = key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let mask = self.buckets.len().checked_sub(1)?;
        Some(spread as usize & mask)
    }

    fn bucket(&self, key: u64) -> Option<&Vec<(u64, V)>> {
        self.buckets.get(self.place(key)?)
    }

    fn put(&mut self, key: u64, value: V) {
        if let Some(place) = self.place(key) {
            self.buckets[place].push((key, value));
        }
    }

    fn grow(&mut self) {
        let count = (self.buckets.len() * 2).max(FIRST);
        let mut before = std::mem::take(&mut self.buckets);
        self.buckets.resize_with(count, Vec::new);
        for bucket in &mut before {
            while let Some((key, value)) = bucket.pop() {
                self.put(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
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
        assert_eq!(map.len(), keys.len());
        for key in &keys {
            assert_eq!(map.get(*key), Some(&key.to_string()));
            map.get_mut(*key).unwrap().push('!');
            assert_eq!(map.remove(*key), Some(format!("{key}!")));
            assert_eq!(map.get(*key), None);
        }
        assert_eq!(map.len(), 0);
        map.insert(7, "seven".to_owned());
        assert_eq!(map.take(), ["seven"]);
        assert_eq!((map.len(), map.get(7)), (0, None));
    }
}
