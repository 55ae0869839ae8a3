//! The token ids of texts seen a short while ago: a chunk is counted when it is cut and embedded
//! soon after, and is tokenised once.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

/// Ids that are kept at the most, in each of two halves: 8 MB.
const ROOM: usize = 1 << 20;

/// Token ids by their text. What was not asked for again goes first.
#[derive(Default)]
pub(super) struct Kept {
    hashers: [RandomState; 2],
    halves: Mutex<Halves>,
}

#[derive(Default)]
struct Halves {
    young: HashMap<u128, Arc<[u32]>>,
    old: HashMap<u128, Arc<[u32]>>,
    /// Ids in `young`.
    used: usize,
}

impl Kept {
    /// The ids of a text, made by `tokenize` if they are not here.
    pub(super) fn get_or<E>(
        &self,
        text: &str,
        tokenize: impl FnOnce() -> Result<Vec<u32>, E>,
    ) -> Result<Arc<[u32]>, E> {
        // Two keyed hashes of 64 bits: no text, chosen or not, is taken for another.
        let [first, second] = self.hashers.each_ref().map(|hasher| hasher.hash_one(text));
        let key = u128::from(first) << 64 | u128::from(second);
        {
            let mut halves = self.lock();
            if let Some(ids) = halves.young.get(&key) {
                return Ok(Arc::clone(ids));
            }
            if let Some(ids) = halves.old.remove(&key) {
                halves.keep(key, Arc::clone(&ids));
                return Ok(ids);
            }
        }
        let ids: Arc<[u32]> = tokenize()?.into();
        self.lock().keep(key, Arc::clone(&ids));
        Ok(ids)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Halves> {
        self.halves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Halves {
    fn keep(&mut self, key: u128, ids: Arc<[u32]>) {
        if ids.len() > ROOM {
            return;
        }
        if self.used + ids.len() > ROOM {
            self.old = std::mem::take(&mut self.young);
            self.used = 0;
        }
        self.used += ids.len();
        self.young.insert(key, ids);
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn ask(kept: &Kept, text: &str, made: &mut usize) -> Arc<[u32]> {
        let ids = kept.get_or(text, || {
            *made += 1;
            Ok::<_, Infallible>(text.bytes().map(u32::from).collect())
        });
        ids.unwrap()
    }

    #[test]
    fn a_text_is_tokenised_once() {
        let kept = Kept::default();
        let mut made = 0;
        for _ in 0..3 {
            assert_eq!(ask(&kept, "glue", &mut made)[..], [103, 108, 117, 101]);
            assert!(ask(&kept, "", &mut made).is_empty());
        }
        assert_eq!(made, 2);
        let failed = kept.get_or("broken", || Err::<Vec<u32>, _>("no"));
        assert_eq!(failed.unwrap_err(), "no");
    }

    #[test]
    fn memory_is_bounded_and_what_is_asked_for_stays() {
        let kept = Kept::default();
        let mut made = 0;
        let long = "x".repeat(ROOM / 10);
        for n in 0..100 {
            ask(&kept, "often", &mut made);
            ask(&kept, &format!("{n}{long}"), &mut made);
            let halves = kept.lock();
            let ids = |half: &HashMap<u128, Arc<[u32]>>| half.values().map(|ids| ids.len()).sum();
            let (young, old): (usize, usize) = (ids(&halves.young), ids(&halves.old));
            assert!(young <= ROOM && old <= ROOM, "{young} {old}");
        }
        assert_eq!(made, 101, "what is asked for again and again was forgotten");
        ask(&kept, &"x".repeat(ROOM + 1), &mut made);
        assert_eq!(ask(&kept, &"x".repeat(ROOM + 1), &mut made).len(), ROOM + 1);
        assert_eq!(made, 103);
    }
}
