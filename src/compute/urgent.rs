//! Long work that makes room for short work of the same process: an answer is written over seconds,
//! and a search that comes meanwhile should not wait for it.

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The least that long work waits for urgent work, if that takes as long.
const AT_LEAST: Duration = Duration::from_millis(40);
/// Beyond that it waits for so many times as long as it has worked: under a flood of urgent work it
/// still gets a quarter of the time.
const SHARE: u32 = 3;

/// Works that are urgent, now.
struct Urgents {
    count: Mutex<usize>,
    none: Condvar,
}

static URGENTS: Urgents = Urgents { count: Mutex::new(0), none: Condvar::new() };

impl Urgents {
    fn count(&self) -> MutexGuard<'_, usize> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Short work that long work makes room for, as long as this lives.
#[derive(Debug)]
pub struct Urgent(());

impl Urgent {
    /// Begins it.
    pub fn begin() -> Urgent {
        *URGENTS.count() += 1;
        Urgent(())
    }
}

impl Drop for Urgent {
    fn drop(&mut self) {
        let mut count = URGENTS.count();
        *count -= 1;
        if *count == 0 {
            URGENTS.none.notify_all();
        }
    }
}

thread_local! {
    /// When the long work of a thread began, and how long it has waited since.
    static LONG: Cell<Option<(Instant, Duration)>> = const { Cell::new(None) };
}

/// Long work of this thread that makes room each time that it comes to [`super::Pool::run`], until
/// this is dropped.
#[derive(Debug)]
pub struct Yielding(PhantomData<*const ()>);

impl Yielding {
    /// Begins it.
    pub fn begin() -> Yielding {
        LONG.set(Some((Instant::now(), Duration::ZERO)));
        Yielding(PhantomData)
    }

    /// The time that it took until now, without that in which it waited.
    pub fn worked(&self) -> Duration {
        LONG.get().map_or(Duration::ZERO, |(began, waited)| began.elapsed().saturating_sub(waited))
    }
}

impl Drop for Yielding {
    fn drop(&mut self) {
        LONG.set(None);
    }
}

/// Waits while there is urgent work, within bounds, if this thread is at long work.
pub(super) fn make_room() {
    let Some((began, waited)) = LONG.get() else { return };
    let mut count = URGENTS.count();
    if *count == 0 {
        return;
    }
    let start = Instant::now();
    let worked = (start - began).saturating_sub(waited);
    let most = (AT_LEAST + worked * SHARE).saturating_sub(waited);
    while *count > 0 {
        let left = most.saturating_sub(start.elapsed());
        if left.is_zero() {
            break;
        }
        let waited = URGENTS.none.wait_timeout(count, left);
        count = waited.unwrap_or_else(PoisonError::into_inner).0;
    }
    LONG.set(Some((began, waited + start.elapsed())));
}

#[cfg(test)]
mod tests {
    use std::thread::{scope, sleep};

    use super::*;
    use crate::compute::Pool;

    fn waited() -> Duration {
        LONG.get().map_or(Duration::ZERO, |(_, waited)| waited)
    }

    /// All in one test: what is urgent is known to the whole process.
    #[test]
    fn long_work_waits_for_urgent_work_and_no_longer_than_is_fair() {
        let urgent = Urgent::begin();
        let start = Instant::now();
        make_room();
        assert!(start.elapsed() < AT_LEAST, "only long work makes room");
        let long = Yielding::begin();
        scope(|threads| {
            threads.spawn(|| {
                sleep(Duration::from_millis(10));
                drop(urgent);
            });
            make_room();
        });
        assert!(waited() >= Duration::from_millis(5), "{:?}", waited());
        assert!(long.worked() < start.elapsed());
        drop(long);

        let _flood = Urgent::begin();
        let long = Yielding::begin();
        // Also where the work is done by one thread.
        Pool::new(1).run(1, &|_| {});
        assert!(waited() >= AT_LEAST && waited() < Duration::from_secs(5), "{:?}", waited());
        sleep(Duration::from_millis(20));
        make_room();
        // All in all: a busy machine may have had it wait for longer the first time.
        assert!(waited() >= AT_LEAST + SHARE * Duration::from_millis(19), "{:?}", waited());
        drop(long);
    }
}
