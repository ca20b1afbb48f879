//! Lines that a process writes, gathered as they come.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::patience::until;

/// What a process has written so far, line by line.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lines {
    lines: Arc<Mutex<Vec<String>>>,
}

impl Lines {
    /// Gathers until the process closes its end.
    pub(crate) fn of(output: impl Read + Send + 'static) -> Lines {
        let gathered = Lines::default();
        let lines = gathered.lines.clone();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                lines.lock().expect("no panic before").push(line);
            }
        });
        gathered
    }

    pub(crate) fn all(&self) -> Vec<String> {
        self.lines.lock().expect("no panic before").clone()
    }

    /// Waits for a line with this text.
    pub(crate) fn wait_for(&self, text: &str) -> String {
        let found = until(|| self.all().into_iter().find(|line| line.contains(text)));
        found.unwrap_or_else(|| panic!("no line with {text:?} in {:#?}", self.all()))
    }
}
