//! Lines that a process writes, gathered as they come.

use std::io::{BufRead, BufReader, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::patience::{eventually, until};

/// What a process has written so far, line by line.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lines {
    lines: Arc<Mutex<Vec<String>>>,
    ended: Arc<AtomicBool>,
}

impl Lines {
    /// Gathers until the process closes its end.
    pub(crate) fn of(output: impl Read + Send + 'static) -> Lines {
        let gathered = Lines::default();
        let Lines { lines, ended } = gathered.clone();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                lines.lock().expect("no panic before").push(line);
            }
            ended.store(true, Ordering::SeqCst);
        });
        gathered
    }

    pub(crate) fn all(&self) -> Vec<String> {
        self.lines.lock().expect("no panic before").clone()
    }

    /// Waits until the process has closed its end, so that nothing more will come.
    pub(crate) fn wait_for_end(&self) {
        assert!(eventually(|| self.ended.load(Ordering::SeqCst)), "output without end");
    }

    /// Waits for a line with this text.
    pub(crate) fn wait_for(&self, text: &str) -> String {
        self.wait_for_line(text, |line| line.contains(text))
    }

    /// Waits for a line that `is` the one, which `what` describes.
    pub(crate) fn wait_for_line(&self, what: &str, is: impl Fn(&str) -> bool) -> String {
        let found = until(|| self.all().into_iter().find(|line| is(line)));
        found.unwrap_or_else(|| panic!("no line with {what} in {:#?}", self.all()))
    }
}
