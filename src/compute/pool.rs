//! One pool of threads for the process: whoever has work for all cores brings it here.

use std::any::Any;
use std::cell::Cell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::crew::Crew;
use super::urgent::make_room;

/// How long a thread looks out for the next work after one: the works of a forward pass follow each
/// other within microseconds, and to wake a thread takes longer.
const LOOKS_OUT: Duration = Duration::from_millis(1);

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
    /// Calls in `state`.
    calls: AtomicUsize,
    crew: Crew,
    /// Threads that work at once for [`Pool::run`], the caller's included.
    in_use: AtomicUsize,
    /// Threads that sleep and would help.
    asleep: AtomicUsize,
}

/// What a thread is woken for.
enum Task {
    Job(Job),
    Help,
    End,
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
        queue.in_use.store(threads.max(1), SeqCst);
        let threads = (0..threads.max(1))
            .filter_map(|n| {
                let queue = Arc::clone(&queue);
                let name = format!("wellread-{n}");
                // A system without threads left gives fewer; without any, callers work themselves.
                std::thread::Builder::new().name(name).spawn(move || work(n, &queue)).ok()
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
        self.queue.push(jobs);
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

    /// Calls `each` with every number below `chunks`, on several threads, the calling one among
    /// them, and returns when all is done. It is for short work, one after the other: threads look
    /// out for the next for a millisecond, and a thread that is not let run is not waited for unless
    /// it has begun a chunk. Within other work of the pool, or beside it, the caller works alone.
    /// Before it begins, [`super::Yielding`] work makes room.
    ///
    /// # Panics
    /// If `each` panics, with its panic, when nobody is at it any more.
    pub fn run(&self, chunks: usize, each: &(dyn Fn(usize) + Sync)) {
        make_room();
        let queue = &self.queue;
        if chunks < 2 || queue.in_use.load(SeqCst) < 2 || IN_POOL.get() {
            return (0..chunks).for_each(each);
        }
        queue.crew.run(chunks, each, || {
            if queue.asleep.load(SeqCst) > 0 {
                // Whoever holds the lock is about to sleep, and must not miss this.
                drop(queue.lock());
                queue.changed.notify_all();
            }
        });
    }

    /// How long callers of [`Pool::run`] have waited for other threads, all in all.
    pub fn waited(&self) -> Duration {
        self.queue.crew.waited()
    }

    /// Threads that work at once for [`Pool::run`], the caller's included.
    pub fn in_use(&self) -> usize {
        self.queue.in_use.load(SeqCst)
    }

    /// Lets [`Pool::run`] use so many threads, from 1 to [`Pool::threads`].
    pub fn limit(&self, threads: usize) {
        let threads = threads.clamp(1, self.threads().max(1));
        if self.queue.in_use.swap(threads, SeqCst) < threads {
            drop(self.queue.lock());
            self.queue.changed.notify_all();
        }
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

    fn push(&self, call: VecDeque<Job>) {
        let mut state = self.lock();
        state.calls.push_back(call);
        // Counted before a thread can take it and count it off.
        self.calls.fetch_add(1, SeqCst);
    }

    /// The next item, of each call in turn.
    fn take(&self, state: &mut State) -> Option<Job> {
        let mut call = state.calls.pop_front()?;
        let job = call.pop_front();
        if call.is_empty() {
            self.calls.fetch_sub(1, SeqCst);
        } else {
            state.calls.push_back(call);
        }
        job
    }

    /// Whether a thread helps with [`Pool::run`]: the caller is one of those in use.
    fn may_help(&self, thread: usize) -> bool {
        thread + 1 < self.in_use.load(SeqCst)
    }

    /// Sleeps until there is something to do. Works up to the number `seen` are no news.
    fn wait(&self, thread: usize, seen: usize) -> Task {
        let mut state = self.lock();
        loop {
            if let Some(job) = self.take(&mut state) {
                return Task::Job(job);
            }
            if state.is_closed {
                return Task::End;
            }
            let may_help = self.may_help(thread);
            if may_help {
                self.asleep.fetch_add(1, SeqCst);
                if self.crew.number() != seen {
                    self.asleep.fetch_sub(1, SeqCst);
                    return Task::Help;
                }
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            if may_help {
                self.asleep.fetch_sub(1, SeqCst);
            }
        }
    }
}

/// What a thread of the pool does all its life.
fn work(thread: usize, queue: &Queue) {
    IN_POOL.set(true);
    let mut seen = 0;
    loop {
        match queue.wait(thread, seen) {
            Task::Job(job) => job(),
            Task::Help => look_out(thread, queue, &mut seen),
            Task::End => return,
        }
    }
}

/// Helps with one work after the other, until for a while there was none or an item waits.
fn look_out(thread: usize, queue: &Queue, seen: &mut usize) {
    let mut last = Instant::now();
    while queue.calls.load(SeqCst) == 0 && queue.may_help(thread) && last.elapsed() < LOOKS_OUT {
        let number = queue.crew.number();
        if number == *seen {
            for _ in 0..4 {
                std::hint::spin_loop();
            }
            continue;
        }
        *seen = number;
        queue.crew.help();
        last = Instant::now();
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
    fn every_chunk_is_worked_on_once() {
        let pool = Pool::new(4);
        for chunks in [0, 1, 2, 3, 7, 1000] {
            for _ in 0..50 {
                let counts: Vec<AtomicUsize> = (0..chunks).map(|_| AtomicUsize::new(0)).collect();
                pool.run(chunks, &|n| {
                    counts[n].fetch_add(1, SeqCst);
                });
                assert!(counts.iter().all(|count| count.load(SeqCst) == 1));
            }
        }
    }

    #[test]
    fn all_threads_in_use_work_at_one_work() {
        let pool = Pool::new(4);
        for threads in [4, 1, 3] {
            pool.limit(threads);
            assert_eq!(pool.in_use(), threads);
            // Each chunk waits for the others: with fewer threads this would never end.
            let barrier = Barrier::new(threads);
            for _ in 0..20 {
                pool.run(threads, &|_| {
                    barrier.wait();
                });
            }
        }
    }

    #[test]
    fn a_panic_of_a_chunk_reaches_the_caller_and_no_thread_is_lost() {
        let pool = Pool::new(3);
        for wrong in [0, 5, 99] {
            let caught = catch_unwind(AssertUnwindSafe(|| {
                pool.run(100, &|n| assert!(n != wrong, "{n} is wrong"));
            }));
            assert!(caught.is_err());
        }
        let barrier = Barrier::new(3);
        pool.run(3, &|_| {
            barrier.wait();
        });
    }

    #[test]
    fn work_within_work_ends() {
        let pool = Arc::new(Pool::new(3));
        let sum = AtomicUsize::new(0);
        pool.run(10, &|_| {
            pool.run(10, &|n| {
                sum.fetch_add(n, SeqCst);
            });
        });
        assert_eq!(sum.load(SeqCst), 450);
        let inner = Arc::clone(&pool);
        let sums = pool.map(vec![10usize, 20, 30], move |n| {
            let sum = AtomicUsize::new(0);
            inner.run(n, &|n| {
                sum.fetch_add(n, SeqCst);
            });
            sum.into_inner()
        });
        assert_eq!(sums, [45, 190, 435]);
    }

    #[test]
    fn many_callers_at_once_are_served_on_a_busy_machine() {
        let pool = Arc::new(Pool::new(4));
        let is_over = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while is_over.load(SeqCst) == 0 {
                        std::hint::spin_loop();
                    }
                });
            }
            let callers: Vec<_> = (0..8usize)
                .map(|caller| {
                    let pool = &pool;
                    scope.spawn(move || {
                        for round in 0..200 {
                            let sum = AtomicUsize::new(0);
                            if (caller + round) % 5 == 0 {
                                let made = pool.map((0..20usize).collect(), |n| n);
                                sum.store(made.into_iter().sum(), SeqCst);
                            } else {
                                pool.run(20, &|n| {
                                    sum.fetch_add(n, SeqCst);
                                });
                            }
                            assert_eq!(sum.into_inner(), 190);
                        }
                    })
                })
                .collect();
            for caller in callers {
                caller.join().unwrap();
            }
            is_over.store(1, SeqCst);
        });
    }

    #[test]
    fn a_thread_that_is_busy_elsewhere_is_not_waited_for() {
        let pool = Arc::new(Pool::new(2));
        let barrier = Arc::new(Barrier::new(3));
        let busy = {
            let (pool, barrier) = (Arc::clone(&pool), Arc::clone(&barrier));
            std::thread::spawn(move || {
                pool.map(vec![(); 2], move |()| {
                    barrier.wait();
                    barrier.wait();
                })
            })
        };
        barrier.wait();
        // Both threads are held up, and the work is done all the same.
        let sum = AtomicUsize::new(0);
        pool.run(100, &|n| {
            sum.fetch_add(n, SeqCst);
        });
        assert_eq!(sum.into_inner(), 4950);
        barrier.wait();
        busy.join().unwrap();
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
