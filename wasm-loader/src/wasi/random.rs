//! A plugin's random numbers.

use crate::grants::Randomness;

/// The numbers of one instance.
#[derive(Debug)]
pub(crate) enum Random {
    /// The state of a generator (SplitMix64).
    Seeded(u64),
    /// The system.
    Real,
}

impl Random {
    pub(crate) fn new(random: Randomness) -> Self {
        match random {
            Randomness::Seeded(seed) => Self::Seeded(seed),
            Randomness::Real => Self::Real,
        }
    }

    pub(crate) fn fill(&mut self, bytes: &mut [u8]) -> Result<(), getrandom::Error> {
        match self {
            Self::Real => getrandom::fill(bytes),
            Self::Seeded(state) => {
                for chunk in bytes.chunks_mut(8) {
                    chunk.copy_from_slice(&split_mix(state).to_le_bytes()[..chunk.len()]);
                }
                Ok(())
            }
        }
    }

    pub(crate) fn number(&mut self) -> Result<u64, getrandom::Error> {
        let mut bytes = [0; 8];
        self.fill(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }
}

fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_numbers_each_time() {
        let numbers = |seed| {
            let mut random = Random::new(Randomness::Seeded(seed));
            [random.number().unwrap(), random.number().unwrap()]
        };
        // The first numbers of the published generator for seed 0.
        assert_eq!(numbers(0), [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4]);
        assert_ne!(numbers(0), numbers(1));
    }

    #[test]
    fn real_numbers_differ() {
        let mut random = Random::new(Randomness::Real);
        assert_ne!(random.number().unwrap(), random.number().unwrap());
        let mut bytes = [0; 13];
        random.fill(&mut bytes).unwrap();
        assert_ne!(bytes, [0; 13]);
    }
}
