//! Randomness of the machine, for keys that nobody may guess.

/// Fresh random bytes from the operating system's generator.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    #[cfg(feature = "failpoints")]
    if seeded::fill(&mut bytes) {
        return bytes;
    }
    rand::fill(&mut bytes);
    bytes
}

#[cfg(feature = "failpoints")]
pub use seeded::seed_thread;

/// For simulations, whose runs are to be the same each time; releases are
/// built without it.
#[cfg(feature = "failpoints")]
mod seeded {
    use std::cell::RefCell;

    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    thread_local! {
        static SEEDED: RefCell<Option<StdRng>> = const { RefCell::new(None) };
    }

    /// From here on [`super::random_bytes`] gives this thread what follows
    /// from `seed`.
    pub fn seed_thread(seed: u64) {
        SEEDED.set(Some(StdRng::seed_from_u64(seed)));
    }

    pub(super) fn fill(bytes: &mut [u8]) -> bool {
        SEEDED.with_borrow_mut(|seeded| match seeded {
            Some(random) => {
                random.fill_bytes(bytes);
                true
            }
            None => false,
        })
    }
}
