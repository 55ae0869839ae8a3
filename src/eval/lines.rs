//! Files of JSON lines that people write: all that is wrong with one is said at once. Pure.

use std::collections::HashMap;

use serde::de::DeserializeOwned;

use crate::base::error::{Error, ErrorKind, Result};

/// A kind of line.
pub struct Lines<T> {
    /// What names a line; no two may have the same.
    pub id: fn(&T) -> &str,
    /// What is wrong with a line that is well-formed.
    pub flaw: fn(&T) -> Option<String>,
    /// What to do about a file that is not well-formed.
    pub hint: &'static str,
}

impl<T: DeserializeOwned> Lines<T> {
    /// Reads a file's text: each line with its number, from 1; blank lines are passed over. `what`
    /// names the file, as in "the question set x is".
    ///
    /// # Errors
    /// [`ErrorKind::Parse`] with every malformed line and every id that stands twice, by line number;
    /// if there is no line at all.
    pub fn read(&self, what: &str, text: &str) -> Result<Vec<(usize, T)>> {
        let (mut read, mut wrong) = (Vec::new(), Vec::new());
        let mut first: HashMap<String, usize> = HashMap::new();
        for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let number = at + 1;
            match serde_json::from_str::<T>(line) {
                Ok(one) => {
                    let id = (self.id)(&one);
                    if let Some(first) = first.insert(id.to_owned(), number) {
                        wrong.push(format!("line {number}: the id {id} is also in line {first}"));
                    }
                    wrong.extend((self.flaw)(&one).map(|flaw| format!("line {number}: {flaw}")));
                    read.push((number, one));
                }
                Err(error) => wrong.push(format!("line {number}: {error}")),
            }
        }
        if read.is_empty() && wrong.is_empty() {
            wrong.push("it is empty".to_owned());
        }
        if wrong.is_empty() {
            return Ok(read);
        }
        let why = format!("{what} not well-formed:\n  {}", wrong.join("\n  "));
        Err(Error::new(ErrorKind::Parse, why).hint(self.hint))
    }
}
