//! Long work that makes room for short work of the same process: an answer is written over seconds,
//! and a search that comes meanwhile should not wait for it.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Who does not let others wait long is let go first: so long at once at the least.
const AT_LEAST: Duration = Duration::from_millis(40);
/// Of its own time, so many times as much is waited: under a flood of short work a long one still
/// gets a quarter of the time.
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

/// Long work that makes room.
#[derive(Debug)]
pub struct Yielding {
    began: Instant,
    waited: Duration,
}

impl Yielding {
    /// Begins it.
    pub fn begin() -> Yielding {
        Yielding { began: Instant::now(), waited: Duration::ZERO }
    }

    /// Waits while there is urgent work, within bounds; to be called every few milliseconds.
    pub fn make_room(&mut self) {
        let mut count = URGENTS.count();
        if *count == 0 {
            return;
        }
        let start = Instant::now();
        let worked = (start - self.began).saturating_sub(self.waited);
        let most = (AT_LEAST + worked * SHARE).saturating_sub(self.waited);
        while *count > 0 {
            let left = most.saturating_sub(start.elapsed());
            if left.is_zero() {
                break;
            }
            let waited = URGENTS.none.wait_timeout(count, left);
            count = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        self.waited += start.elapsed();
    }

    /// The time that it took until now, without that in which it waited.
    pub fn worked(&self) -> Duration {
        self.began.elapsed().saturating_sub(self.waited)
    }
}

#[cfg(test)]
mod tests {
    use std::thread::{scope, sleep};

    use super::*;

    /// Both in one test: what is urgent is known to the whole process.
    #[test]
    fn long_work_waits_for_urgent_work_and_no_longer_than_is_fair() {
        let mut long = Yielding::begin();
        let urgent = Urgent::begin();
        scope(|threads| {
            threads.spawn(|| {
                sleep(Duration::from_millis(10));
                drop(urgent);
            });
            long.make_room();
        });
        assert!(long.waited >= Duration::from_millis(5), "{long:?}");
        assert!(long.worked() < long.began.elapsed());

        let _flood = Urgent::begin();
        let mut long = Yielding::begin();
        let start = Instant::now();
        long.make_room();
        assert!(start.elapsed() >= AT_LEAST, "{:?}", start.elapsed());
        assert!(long.waited < Duration::from_secs(5), "{long:?}");
        let waited = long.waited;
        sleep(Duration::from_millis(20));
        long.make_room();
        assert!(long.waited >= waited + SHARE * Duration::from_millis(19), "{long:?}");
    }
}
