//! How many threads are quickest, found by trying.
//!
//! A core that another program uses makes two threads slower than one: the thread on it is stopped
//! in the midst of its chunks, and is waited for.

/// Rounds between two trials while all goes well.
const EVERY: u32 = 48;

/// Rounds that a trial lasts.
const TRIAL: u32 = 2;

/// A number of threads is given up for another that takes less than this part of its time.
const BETTER: f64 = 0.95;

/// Rounds this much longer than usual, or in which one thread waited for another for more than
/// [`HELD_UP`] of the time, two of them in turn, make a trial due.
const WORSE: f64 = 1.3;

const HELD_UP: f64 = 0.15;

/// So many times as long until the next trial of fewer threads, at the most, where the last ones did
/// not help; the first after bad rounds may come in an eighth of the time.
const PATIENCE: u32 = 8;

/// Chooses the number of threads for rounds that are alike, by what they took.
#[derive(Debug)]
pub struct Pace {
    /// Numbers of threads, from the most on; each with the time that a round took lately.
    rungs: Vec<(usize, Option<f64>)>,
    at: usize,
    trial: Option<Trial>,
    rounds: u32,
    slow: u32,
    /// How many times as long until fewer threads are tried.
    patience: u32,
    /// The next trial is of fewer threads.
    down: bool,
}

#[derive(Debug)]
struct Trial {
    rung: usize,
    rounds: u32,
    least: f64,
}

impl Pace {
    /// One that begins with the most threads.
    pub fn new(most: usize) -> Pace {
        let mut rungs = vec![(most.max(1), None)];
        while let Some((threads, _)) = rungs.last()
            && *threads > 1
        {
            rungs.push((threads / 2, None));
        }
        let rounds = EVERY / PATIENCE;
        Pace { rungs, at: 0, trial: None, rounds, slow: 0, patience: 1, down: true }
    }

    /// Threads for the next round.
    pub fn threads(&self) -> usize {
        self.rungs[self.trial.as_ref().map_or(self.at, |trial| trial.rung)].0
    }

    /// A round took so long with [`Pace::threads`], and so much of it one thread waited for another,
    /// in any unit.
    pub fn took(&mut self, time: f64, waited: f64) {
        if let Some(trial) = &mut self.trial {
            trial.rounds += 1;
            trial.least = trial.least.min(time);
            if trial.rounds >= TRIAL {
                let (rung, least) = (trial.rung, trial.least);
                self.trial = None;
                self.rungs[rung].1 = Some(least);
                let is_better = self.rungs[self.at].1.is_none_or(|usual| least < usual * BETTER);
                self.patience = match is_better {
                    false if rung > self.at => (2 * self.patience).min(PATIENCE),
                    _ => 1,
                };
                // Where fewer did not help, more may, and the other way round.
                self.down = if is_better { rung > self.at } else { !self.down };
                if is_better {
                    self.at = rung;
                }
            }
            return;
        }
        let usual = self.rungs[self.at].1;
        let is_slow = usual.is_some_and(|usual| time > usual * WORSE) || waited > time * HELD_UP;
        self.slow = if is_slow { self.slow + 1 } else { 0 };
        self.rungs[self.at].1 = Some(usual.map_or(time, |usual| usual + (time - usual) / 4.0));
        self.rounds += 1;
        let most = self.rungs.len() - 1;
        let down = if self.at == 0 { true } else { self.at < most && self.down };
        let every = if down { EVERY * self.patience } else { EVERY };
        let is_due = self.rounds >= if self.slow < 2 { every } else { every / PATIENCE };
        if self.rungs.len() > 1 && is_due {
            (self.rounds, self.slow) = (0, 0);
            let rung = if down { self.at + 1 } else { self.at - 1 };
            self.trial = Some(Trial { rung, rounds: 0, least: f64::INFINITY });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs rounds whose time depends on the threads, and counts them by threads.
    fn run(pace: &mut Pace, rounds: usize, time: impl Fn(usize) -> f64) -> Vec<usize> {
        let used: Vec<usize> = (0..rounds)
            .map(|_| {
                let threads = pace.threads();
                pace.took(time(threads), 0.0);
                threads
            })
            .collect();
        used
    }

    fn share(used: &[usize], threads: usize) -> f64 {
        used.iter().filter(|used| **used == threads).count() as f64 / used.len() as f64
    }

    #[test]
    fn the_quickest_number_of_threads_is_used_most() {
        let quiet = |threads: usize| 1.0 / threads as f64;
        let busy = |threads: usize| if threads == 1 { 1.0 } else { 4.0 };
        let mut pace = Pace::new(2);
        assert!(share(&run(&mut pace, 500, quiet), 2) > 0.95);
        let used = run(&mut pace, 30, busy);
        assert!(share(&used, 1) > 0.8, "it takes long to see that a core is busy: {used:?}");
        assert!(share(&run(&mut pace, 500, busy), 1) > 0.9);
        run(&mut pace, 60, quiet);
        assert!(share(&run(&mut pace, 500, quiet), 2) > 0.95);
    }

    #[test]
    fn a_thread_that_is_waited_for_is_soon_done_without_if_that_helps() {
        let rounds = |pace: &mut Pace, alone: f64| {
            let mut used = Vec::new();
            for _ in 0..60 {
                let threads = pace.threads();
                let (time, waited) = if threads == 1 { (alone, 0.0) } else { (1.0, 0.5) };
                pace.took(time, waited);
                used.push(threads);
            }
            share(&used, 1)
        };
        assert!(rounds(&mut Pace::new(2), 0.8) > 0.9);
        assert!(rounds(&mut Pace::new(2), 1.3) < 0.2);
    }

    #[test]
    fn the_best_of_many_is_found_and_one_is_left_alone() {
        let mut pace = Pace::new(16);
        let time = |threads: usize| (threads as f64 - 4.0).abs() + 1.0;
        run(&mut pace, 400, time);
        assert!(share(&run(&mut pace, 500, time), 4) > 0.9);
        assert_eq!(run(&mut Pace::new(1), 200, time), vec![1; 200]);
        assert_eq!(Pace::new(0).threads(), 1);
    }
}
