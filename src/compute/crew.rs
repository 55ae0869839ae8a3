//! One piece of work on borrowed data, done by many threads at once.
//!
//! Chunks are dealt out of one counter. The caller works too, and at the end waits only for threads
//! that have begun a chunk: they register, then read which work there is, as ONNX Runtime's pool
//! has it; so a thread that the system does not let run holds nobody up.
#![expect(unsafe_code, reason = "threads of a pool work on what the caller has borrowed")]

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, PoisonError, TryLockError};
use std::time::{Duration, Instant};

/// How long a caller waits without giving way to other threads.
const BRIEFLY: Duration = Duration::from_micros(30);

#[derive(Default)]
pub(super) struct Crew {
    work: AtomicPtr<Work<'static>>,
    /// Grows with each work.
    number: AtomicUsize,
    /// Threads that may be reading `work`, or be at it.
    readers: AtomicUsize,
    /// Nanoseconds that callers have waited for others.
    waited: AtomicU64,
    calling: Mutex<()>,
}

struct Work<'a> {
    each: &'a (dyn Fn(usize) + Sync),
    chunks: usize,
    next: AtomicUsize,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

impl Crew {
    /// Does all chunks, with whoever comes to [`Crew::help`] after `tell`; alone if another work is
    /// under way.
    ///
    /// # Panics
    /// With the panic of a chunk, once nobody is at the work any more.
    pub(super) fn run(&self, chunks: usize, each: &(dyn Fn(usize) + Sync), tell: impl FnOnce()) {
        let calling = match self.calling.try_lock() {
            Ok(calling) => calling,
            Err(TryLockError::Poisoned(calling)) => calling.into_inner(),
            Err(TryLockError::WouldBlock) => return (0..chunks).for_each(each),
        };
        let work = Work { each, chunks, next: AtomicUsize::new(0), panic: Mutex::new(None) };
        self.work.store((&raw const work).cast_mut().cast(), SeqCst);
        self.number.fetch_add(1, SeqCst);
        tell();
        work.work_off();
        // From here on nobody finds it; who has found it is waited for.
        self.work.store(std::ptr::null_mut(), SeqCst);
        self.wait();
        drop(calling);
        let panic = work.panic.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(payload) = panic {
            resume_unwind(payload);
        }
    }

    fn wait(&self) {
        let mut since = None;
        while self.readers.load(SeqCst) > 0 {
            if since.get_or_insert_with(Instant::now).elapsed() < BRIEFLY {
                std::hint::spin_loop();
            } else {
                std::thread::yield_now();
            }
        }
        if let Some(since) = since {
            let waited = u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX);
            self.waited.fetch_add(waited, SeqCst);
        }
    }

    /// How long callers have waited for others, all in all.
    pub(super) fn waited(&self) -> Duration {
        Duration::from_nanos(self.waited.load(SeqCst))
    }

    /// The number of the newest work.
    pub(super) fn number(&self) -> usize {
        self.number.load(SeqCst)
    }

    /// Helps with the work that is under way, if there is one.
    pub(super) fn help(&self) {
        self.readers.fetch_add(1, SeqCst);
        let work = self.work.load(SeqCst);
        if !work.is_null() {
            // SAFETY: this thread registered before it read the pointer, and whoever owns the work
            // takes the pointer away and then waits for all that are registered: so the work, and
            // what it borrows, outlives this.
            unsafe { &*work }.work_off();
        }
        self.readers.fetch_sub(1, SeqCst);
    }
}

impl Work<'_> {
    /// Does chunks until there are no more. It does not panic.
    fn work_off(&self) {
        loop {
            let chunk = self.next.fetch_add(1, SeqCst);
            if chunk >= self.chunks {
                return;
            }
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| (self.each)(chunk))) {
                self.next.store(self.chunks, SeqCst);
                *self.panic.lock().unwrap_or_else(PoisonError::into_inner) = Some(payload);
                return;
            }
        }
    }
}
