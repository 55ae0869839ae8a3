//! The one LLM: loaded when it is first needed, kept warm, and used by one caller after the other in
//! the order in which they came.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::base::error::Result;
use crate::base::{CacheUse, Cancel};
use crate::infer::Generator;

/// How often a caller who waits looks whether it was stopped.
const LOOK: Duration = Duration::from_millis(50);

/// A fair queue before an LLM.
#[derive(Default)]
pub(super) struct Queue {
    line: Mutex<Line>,
    moved: Condvar,
    model: Mutex<Option<Loaded>>,
    prompt_tokens: Mutex<CacheUse>,
}

/// Those who wait, by ticket, the first being served.
#[derive(Default)]
struct Line {
    waiting: VecDeque<u64>,
    next: u64,
}

struct Loaded {
    name: String,
    generator: Box<dyn Generator>,
}

/// A place in the line, given up when this is dropped.
struct Ticket<'a> {
    queue: &'a Queue,
    number: u64,
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        lock(&self.queue.line).waiting.retain(|number| *number != self.number);
        self.queue.moved.notify_all();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Queue {
    /// Waits for its turn, has the model of a name loaded if another or none is there, and uses it.
    ///
    /// # Errors
    /// [`crate::base::error::ErrorKind::Interrupted`] if the caller is stopped while it waits; if
    /// loading fails, and then the next caller tries again; what `use_it` fails with.
    pub(super) fn with<T>(
        &self,
        name: &str,
        cancel: &Cancel,
        load: impl FnOnce() -> Result<Box<dyn Generator>>,
        use_it: impl FnOnce(&mut dyn Generator) -> Result<T>,
    ) -> Result<T> {
        let ticket = self.take();
        {
            let mut line = lock(&self.line);
            while line.waiting.front() != Some(&ticket.number) {
                cancel.check()?;
                line =
                    self.moved.wait_timeout(line, LOOK).unwrap_or_else(PoisonError::into_inner).0;
            }
        }
        cancel.check()?;
        let mut model = lock(&self.model);
        let loaded = match model.take() {
            Some(loaded) if loaded.name == name => loaded,
            // The memory of the other one is given back first.
            other => {
                drop(other);
                Loaded { name: name.to_owned(), generator: load()? }
            }
        };
        let generator = model.insert(loaded).generator.as_mut();
        let before = generator.prompt_tokens();
        let used = use_it(generator);
        let after = generator.prompt_tokens();
        let mut tokens = lock(&self.prompt_tokens);
        tokens.hits += after.hits - before.hits;
        tokens.misses += after.misses - before.misses;
        used
    }

    /// Tokens of all prompts of all models: those that were held already, and those that were read.
    pub(super) fn prompt_tokens(&self) -> CacheUse {
        *lock(&self.prompt_tokens)
    }

    fn take(&self) -> Ticket<'_> {
        let mut line = lock(&self.line);
        let number = line.next;
        line.next += 1;
        line.waiting.push_back(number);
        Ticket { queue: self, number }
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::base::Fingerprint;
    use crate::base::error::{Error, ErrorKind};
    use crate::infer::{Generated, Prompt, Sampling, Written};

    struct Mute;

    impl Generator for Mute {
        fn fingerprint(&self) -> Fingerprint {
            Fingerprint(Default::default())
        }

        fn context_tokens(&self) -> usize {
            0
        }

        fn count_tokens(&self, _: &str) -> Result<usize> {
            Ok(0)
        }

        fn generate(
            &mut self,
            _: &Prompt,
            _: &Sampling,
            _: &mut dyn FnMut(Written<'_>) -> ControlFlow<()>,
        ) -> Result<Generated> {
            Err(Error::new(ErrorKind::Bug, "it says nothing"))
        }

        fn score(
            &mut self,
            _: &Prompt,
            texts: &[&str],
            _: &mut dyn FnMut() -> ControlFlow<()>,
        ) -> Result<Vec<f64>> {
            Ok(vec![0.0; texts.len()])
        }

        fn prompt_tokens(&self) -> CacheUse {
            CacheUse::default()
        }
    }

    #[test]
    fn callers_are_served_in_the_order_in_which_they_came_by_one_model() {
        let (queue, loads) = (Queue::default(), AtomicUsize::new(0));
        let load = || -> Result<Box<dyn Generator>> {
            loads.fetch_add(1, Ordering::SeqCst);
            Ok(Box::new(Mute))
        };
        let served = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            let first = queue.take();
            for caller in 0..8 {
                let (queue, served, load) = (&queue, &served, &load);
                let before = lock(&queue.line).waiting.len();
                scope.spawn(move || {
                    queue
                        .with("m", &Cancel::default(), load, |_| {
                            lock(served).push(caller);
                            Ok(())
                        })
                        .unwrap();
                });
                while lock(&queue.line).waiting.len() == before {
                    std::thread::yield_now();
                }
            }
            drop(first);
        });
        assert_eq!(served.into_inner().unwrap(), (0..8).collect::<Vec<_>>());
        assert_eq!(loads.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn one_who_is_stopped_leaves_the_line_and_a_failed_load_is_tried_again() {
        let queue = Queue::default();
        let first = queue.take();
        let cancel = Cancel::default();
        cancel.raise();
        let stopped = queue.with("m", &cancel, || Ok(Box::new(Mute)), |_| Ok(()));
        assert_eq!(stopped.unwrap_err().kind(), ErrorKind::Interrupted);
        drop(first);
        assert!(lock(&queue.line).waiting.is_empty());
        let never = || Err(Error::new(ErrorKind::Model, "it is broken"));
        assert!(queue.with("m", &Cancel::default(), never, |_| Ok(())).is_err());
        queue.with("m", &Cancel::default(), || Ok(Box::new(Mute)), |_| Ok(())).unwrap();
        // Another model takes its place.
        queue.with("n", &Cancel::default(), || Ok(Box::new(Mute)), |_| Ok(())).unwrap();
        assert_eq!(lock(&queue.model).as_ref().unwrap().name, "n");
    }
}
