//! One pool of threads for the process: whoever has work for all cores brings it here.

use std::any::Any;
use std::cell::Cell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, mpsc};
use std::thread::JoinHandle;

/// Threads that stay, one a core. Calls that come together are served in turn, one item each, so
/// that a short one never waits for a long one to end.
pub struct Pool {
    queue: Arc<Queue>,
    threads: Vec<JoinHandle<()>>,
}

type Job = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// What is left of each call; none is empty.
    calls: VecDeque<VecDeque<Job>>,
    is_closed: bool,
}

thread_local! {
    static IN_POOL: Cell<bool> = const { Cell::new(false) };
}

impl Pool {
    /// A pool of that many threads, at least one.
    pub fn new(threads: usize) -> Pool {
        let queue = Arc::new(Queue::default());
        let threads = (0..threads.max(1))
            .filter_map(|n| {
                let queue = Arc::clone(&queue);
                let name = format!("wellread-{n}");
                // A system without threads left gives fewer; without any, callers work themselves.
                std::thread::Builder::new().name(name).spawn(move || work(&queue)).ok()
            })
            .collect();
        Pool { queue, threads }
    }

    /// The pool of the process, with a thread for each core that it may use.
    pub fn shared() -> Arc<Pool> {
        static SHARED: OnceLock<Arc<Pool>> = OnceLock::new();
        let threads = || std::thread::available_parallelism().map_or(1, usize::from);
        Arc::clone(SHARED.get_or_init(|| Arc::new(Pool::new(threads()))))
    }

    /// Threads of the pool.
    pub fn threads(&self) -> usize {
        self.threads.len()
    }

    /// What `run` makes of each item, in their order. It waits for all of them; called from within
    /// the pool it works on the calling thread alone, so that the pool never waits for itself.
    ///
    /// # Panics
    /// If `run` panics, with its panic, after the other items are done.
    pub fn map<T, R, F>(&self, items: Vec<T>, run: F) -> Vec<R>
    where
        T: Send + 'static,
        R: Send + 'static,
        F: Fn(T) -> R + Send + Sync + 'static,
    {
        if items.len() < 2 || self.threads.is_empty() || IN_POOL.get() {
            return items.into_iter().map(run).collect();
        }
        let (sender, receiver) = mpsc::channel();
        let run = Arc::new(run);
        let jobs: VecDeque<Job> = items
            .into_iter()
            .enumerate()
            .map(|(at, item)| {
                let (sender, run) = (sender.clone(), Arc::clone(&run));
                Box::new(move || {
                    let outcome = catch_unwind(AssertUnwindSafe(|| run(item)));
                    // Whoever asked waits until every sender is gone.
                    let _ = sender.send((at, outcome));
                }) as Job
            })
            .collect();
        drop(sender);
        self.queue.lock().calls.push_back(jobs);
        self.queue.changed.notify_all();
        let mut done = Vec::new();
        let mut panic: Option<Box<dyn Any + Send>> = None;
        for (at, outcome) in receiver {
            match outcome {
                Ok(outcome) => done.push((at, outcome)),
                Err(payload) => panic = Some(payload),
            }
        }
        if let Some(payload) = panic {
            resume_unwind(payload);
        }
        done.sort_unstable_by_key(|(at, _)| *at);
        done.into_iter().map(|(_, outcome)| outcome).collect()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.queue.lock().is_closed = true;
        self.queue.changed.notify_all();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next item, of each call in turn; `None` once the pool is closed and all is done.
    fn next(&self) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if let Some(mut call) = state.calls.pop_front() {
                let job = call.pop_front();
                if !call.is_empty() {
                    state.calls.push_back(call);
                }
                if job.is_some() {
                    return job;
                }
            } else if state.is_closed {
                return None;
            } else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}

fn work(queue: &Queue) {
    IN_POOL.set(true);
    while let Some(job) = queue.next() {
        job();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::Barrier;
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn outcomes_come_in_the_order_of_the_items() {
        let pool = Pool::new(3);
        let squares = pool.map((0..1000u64).collect(), |n| n * n);
        assert_eq!(squares, (0..1000).map(|n| n * n).collect::<Vec<u64>>());
        assert!(pool.map(Vec::<u8>::new(), |n| n).is_empty());
    }

    #[test]
    fn all_threads_work_at_once_and_stay() {
        let pool = Pool::new(4);
        assert_eq!(pool.threads(), 4);
        let mut seen = HashSet::new();
        for _ in 0..50 {
            // Each item waits for three others: with fewer threads this would never end.
            let barrier = Arc::new(Barrier::new(4));
            let wait = move |_| {
                barrier.wait();
                std::thread::current().id()
            };
            seen.extend(pool.map(vec![(); 4], wait));
        }
        assert_eq!(seen.len(), 4, "threads were made anew");
    }

    #[test]
    fn a_panic_reaches_the_caller_and_no_thread_is_lost() {
        let pool = Pool::new(2);
        for _ in 0..5 {
            let caught = catch_unwind(AssertUnwindSafe(|| {
                pool.map(vec![1, 2, 3], |n| assert!(n != 2, "two is too many"))
            }));
            assert!(caught.is_err());
        }
        let barrier = Arc::new(Barrier::new(2));
        let done = pool.map(vec![1, 2], move |n| {
            barrier.wait();
            n
        });
        assert_eq!(done, [1, 2]);
    }

    #[test]
    fn a_call_from_within_the_pool_ends() {
        let pool = Arc::new(Pool::new(2));
        let inner = Arc::clone(&pool);
        let sums = pool.map(vec![10u32, 20, 30], move |n| {
            inner.map(vec![n, n + 1], |n| n).into_iter().sum::<u32>()
        });
        assert_eq!(sums, [21, 41, 61]);
    }

    #[test]
    fn a_short_call_does_not_wait_for_a_long_one() {
        let pool = Arc::new(Pool::new(1));
        let nap = |_| std::thread::sleep(Duration::from_millis(10));
        let long = {
            let pool = Arc::clone(&pool);
            std::thread::spawn(move || {
                pool.map(vec![(); 100], nap);
                Instant::now()
            })
        };
        std::thread::sleep(Duration::from_millis(50));
        pool.map(vec![(); 2], nap);
        let short = Instant::now();
        assert!(short < long.join().unwrap());
    }
}
