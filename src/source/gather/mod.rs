//! Sources → parsed articles, several sources beside each other.
//!
//! Each worker reads one source to its end: fetched, parsed, its older pages followed, its summaries
//! completed. Of a host there is one source at a time in work. What was read is handed to the
//! calling thread, which takes one after the other; a worker waits until it is taken, so there are
//! never more bodies than workers.

mod one;

use std::collections::HashSet;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Condvar, Mutex, PoisonError};

use super::fetch::{Cursor, Fetcher, Source};
use super::read::Outlines;
use crate::base::ParsedArticle;
use crate::base::error::{Error, ErrorKind, Result};
use one::Read;

/// A source to read, and how far it was read before.
#[derive(Clone, Debug)]
pub struct Job {
    /// What to read.
    pub source: Source,
    /// The default for one that was not.
    pub cursor: Cursor,
}

/// One item of a source.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// What the reader made of it.
    pub article: ParsedArticle,
    /// The file that the item is, relative to its source; for items that are a file each.
    pub place: Option<String>,
}

/// What was read of a source: all of it, or of a large folder as much as memory should hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Part {
    /// Nothing has changed since the cursor.
    pub is_unchanged: bool,
    /// The source's title.
    pub title: Option<String>,
    /// The site that it belongs to.
    pub site: Option<String>,
    /// In the order of the source.
    pub items: Vec<Item>,
    /// The feed that a page names, which was read instead of it.
    pub feed: Option<String>,
    /// Feeds that it lists (OPML), all of them on the network.
    pub lists: Vec<String>,
    /// What was left out because it can't be read or is too large: each a line that says why.
    pub left_out: Vec<String>,
    /// What was mended or passed over.
    pub warnings: Vec<String>,
    /// What to keep once all parts are stored; `None` if more parts follow.
    pub cursor: Option<Cursor>,
}

/// Reads sources, at most [`super::fetch::FetchOptions::concurrency`] of them at a time. `each`
/// gets what was read with its job's place in `jobs`, in the order in which it is read; a job's
/// last call is a part with a cursor or an error. It is called in this thread, `is_known` in any: that
/// says of an article's address whether there is more than a summary of it already, so that the page
/// need not be fetched.
///
/// # Errors
/// [`ErrorKind::Interrupted`], or the first error of `each`; then what else is being read is given
/// up.
pub fn gather(
    jobs: &[Job],
    fetcher: &Fetcher<'_>,
    is_known: &(dyn Fn(&str) -> Result<bool> + Sync),
    each: &mut dyn FnMut(usize, Result<Part>) -> Result<()>,
) -> Result<()> {
    let queue = Queue::new(jobs);
    let workers = fetcher.options.concurrency.clamp(1, jobs.len().max(1));
    std::thread::scope(|scope| {
        let (send, receive) = sync_channel(0);
        for _ in 0..workers {
            let send = send.clone();
            let queue = &queue;
            scope.spawn(move || {
                while let Some(turn) = queue.take() {
                    let (at, job) = (turn.at, &jobs[turn.at]);
                    let hand = |part| {
                        let handed = send.send((at, Box::new(part)));
                        handed.map_err(|_| Error::interrupted())
                    };
                    let read = Read { fetcher, source: &job.source, is_known, hand: &hand };
                    let outcome = read.run(&job.cursor);
                    drop(turn);
                    if let Err(error) = outcome
                        && hand(Err(error)).is_err()
                    {
                        return;
                    }
                }
            });
        }
        drop(send);
        let outcome = take_all(receive, each);
        if outcome.is_err() {
            queue.close();
            fetcher.stop();
        }
        outcome
    })
}

/// What a worker hands over: its job's place, and what it read.
type Handed = (usize, Box<Result<Part>>);

/// Takes what the workers hand over until there is nothing more. The channel is gone after it: a
/// worker that has something left ends.
fn take_all(
    receive: Receiver<Handed>,
    each: &mut dyn FnMut(usize, Result<Part>) -> Result<()>,
) -> Result<()> {
    for (at, part) in receive {
        match *part {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Err(error),
            part => each(at, part)?,
        }
    }
    Ok(())
}

/// Jobs that wait, and hosts that are in work.
struct Queue {
    hosts: Vec<String>,
    state: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    jobs: std::collections::VecDeque<usize>,
    busy: HashSet<String>,
}

impl Queue {
    fn new(jobs: &[Job]) -> Queue {
        let waiting = Waiting { jobs: (0..jobs.len()).collect(), busy: HashSet::new() };
        Queue {
            hosts: jobs.iter().map(|job| job.source.host()).collect(),
            state: Mutex::new(waiting),
            changed: Condvar::new(),
        }
    }

    /// The next job whose host is free, waited for; `None` when there are no more.
    fn take(&self) -> Option<Turn<'_>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if state.jobs.is_empty() {
                return None;
            }
            let free = state.jobs.iter().position(|at| !state.busy.contains(&self.hosts[*at]));
            if let Some(at) = free.and_then(|place| state.jobs.remove(place)) {
                state.busy.insert(self.hosts[at].clone());
                return Some(Turn { queue: self, at });
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn close(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.jobs.clear();
        self.changed.notify_all();
    }
}

/// A job in work; its host is free again when this goes, however the work ended.
struct Turn<'a> {
    queue: &'a Queue,
    at: usize,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.queue.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.busy.remove(&self.queue.hosts[self.at]);
        self.queue.changed.notify_all();
    }
}

impl Part {
    /// Takes an article in, unless it is too large; that is said.
    fn push(&mut self, article: ParsedArticle, place: Option<String>, max_bytes: usize) {
        let length = article.content.raw().len();
        if length > max_bytes {
            self.left_out.push(format!(
                "\"{}\" has {} MB, and at most {} MB of an article are read \
                 (fetch.max_article_bytes)",
                article.title,
                length.div_ceil(1_000_000),
                max_bytes / 1_000_000
            ));
            return;
        }
        self.items.push(Item { article, place });
    }

    /// Adds what one file holds.
    fn add(&mut self, file: Part) {
        self.items.extend(file.items);
        self.lists.extend(file.lists);
        self.left_out.extend(file.left_out);
        self.warnings.extend(file.warnings);
    }

    fn list(&mut self, outlines: Outlines) {
        self.lists.extend(outlines.feeds.into_iter().map(|outline| outline.url));
        self.warnings.extend(outlines.warnings);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Cancel;
    use crate::source::fetch::FetchOptions;

    /// What `gather` hands over for one source.
    fn parts(source: &Source) -> Vec<Result<Part>> {
        let (options, cancel) = (FetchOptions::default(), Cancel::default());
        let fetcher = Fetcher::new(&options, true, &|_| {}, &cancel);
        let job = Job { source: source.clone(), cursor: Cursor::default() };
        let mut parts = Vec::new();
        gather(&[job], &fetcher, &|_| Ok(false), &mut |_, part| {
            parts.push(part);
            Ok(())
        })
        .unwrap();
        parts
    }

    #[test]
    fn a_large_folder_comes_in_parts_and_only_the_last_has_a_cursor() {
        let folder = tempfile::tempdir().unwrap();
        for n in 0..9 {
            let text = format!("{n} {}", "planks ".repeat(2_000_000));
            fs_err::write(folder.path().join(format!("{n}.txt")), text).unwrap();
        }
        fs_err::write(folder.path().join("9.xml"), "<invoice/>").unwrap();
        let parts = parts(&Source::Path(folder.path().to_owned()));
        let parts: Vec<Part> = parts.into_iter().map(Result::unwrap).collect();
        let places: Vec<Vec<&str>> = parts
            .iter()
            .map(|part| part.items.iter().filter_map(|item| item.place.as_deref()).collect())
            .collect();
        assert_eq!(
            places,
            [
                vec!["0.txt", "1.txt", "2.txt", "3.txt"],
                vec!["4.txt", "5.txt", "6.txt", "7.txt"],
                vec!["8.txt"],
            ]
        );
        assert!(parts[..2].iter().all(|part| part.cursor.is_none() && part.left_out.is_empty()));
        // What was left out is looked for again: the cursor covers nothing.
        assert_eq!(parts[2].cursor, Some(Cursor::default()));
        assert_eq!(parts[2].left_out.len(), 1);
        fs_err::remove_file(folder.path().join("9.xml")).unwrap();
        let parts = self::parts(&Source::Path(folder.path().to_owned()));
        let cursor = parts[2].as_ref().unwrap().cursor.as_ref().unwrap();
        assert!(cursor.stamp.is_some());
    }

    #[test]
    fn a_folder_of_which_nothing_can_be_read_is_an_error_and_a_taker_that_fails_ends_it() {
        let folder = tempfile::tempdir().unwrap();
        fs_err::write(folder.path().join("1.xml"), "<invoice/>").unwrap();
        let source = Source::Path(folder.path().to_owned());
        let parts = parts(&source);
        assert_eq!(parts.len(), 1);
        assert_eq!(parts[0].as_ref().unwrap_err().kind(), ErrorKind::Parse);

        let (options, cancel) = (FetchOptions::default(), Cancel::default());
        let fetcher = Fetcher::new(&options, true, &|_| {}, &cancel);
        let jobs = vec![Job { source, cursor: Cursor::default() }; 20];
        let mut calls = 0;
        let ended = gather(&jobs, &fetcher, &|_| Ok(false), &mut |_, _| {
            calls += 1;
            Err(Error::new(ErrorKind::DiskFull, "full"))
        });
        assert_eq!((ended.unwrap_err().kind(), calls), (ErrorKind::DiskFull, 1));
    }
}
