//! One of N equal parts.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, Result, ensure};

/// The K-th of N parts, K from 1 to N.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Slice {
    part: usize,
    parts: usize,
}

impl Slice {
    /// The part that belongs to a seed: the same seed, the same part; all parts over many seeds.
    pub(crate) fn of_seed(seed: u64, parts: usize) -> Slice {
        let parts = parts.max(1);
        Slice { part: (seed % parts as u64) as usize + 1, parts }
    }

    /// Every N-th item, starting at the K-th, so that neighbours land in different parts.
    pub(super) fn of<T>(self, items: Vec<T>) -> Vec<T> {
        items.into_iter().skip(self.part - 1).step_by(self.parts).collect()
    }
}

impl FromStr for Slice {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Slice> {
        let (part, parts) = text.split_once('/').context("a slice looks like 2/5")?;
        let slice = Slice { part: part.parse()?, parts: parts.parse()? };
        ensure!(
            (1..=slice.parts).contains(&slice.part),
            "slices of {} count from 1 to {}",
            slice.parts,
            slice.parts
        );
        Ok(slice)
    }
}

impl fmt::Display for Slice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.part, self.parts)
    }
}

#[cfg(test)]
mod tests {
    use super::Slice;

    #[test]
    fn the_slices_of_a_list_are_the_list() {
        for parts in 1..=12 {
            let mut all: Vec<u32> =
                (1..=parts).flat_map(|part| Slice { part, parts }.of((0..10).collect())).collect();
            all.sort_unstable();
            assert_eq!(all, (0..10).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_slice_is_read_as_it_is_written() {
        assert_eq!("2/5".parse::<Slice>().unwrap().to_string(), "2/5");
        for wrong in ["", "3", "0/5", "6/5", "1/0", "a/b"] {
            assert!(wrong.parse::<Slice>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn seeds_reach_every_slice() {
        for seed in 0..7 {
            assert_eq!(Slice::of_seed(seed, 7), Slice { part: seed as usize + 1, parts: 7 });
        }
        assert_eq!(Slice::of_seed(9, 0).to_string(), "1/1");
    }
}
