//! The scripts that count on the server, what they are given and what they answer.

use std::sync::OnceLock;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use redis::{Cmd, Value};

use crate::{Limit, Verdict};

const COUNTING: &str = include_str!("script/counting.lua");

/// A script and the name that the server knows it by.
pub(crate) struct Script {
    common: &'static str,
    part: &'static str,
    whole: OnceLock<(String, String)>,
}

/// Counts a request against several limits.
pub(crate) static TAKE: Script = Script::new(include_str!("script/take.lua"));
/// Takes back what was counted.
pub(crate) static GIVE: Script = Script::new(include_str!("script/give.lua"));
/// Renews a share.
pub(crate) static LEASE: Script = Script::new(include_str!("script/lease.lua"));

/// Says that a node is there.
pub(crate) static HEARTBEAT: Script = Script::alone(include_str!("script/heartbeat.lua"));

/// Works with a session of a browser.
pub(crate) static SESSION: Script = Script::alone(include_str!("script/session.lua"));

impl Script {
    const fn new(part: &'static str) -> Script {
        Script { common: COUNTING, part, whole: OnceLock::new() }
    }

    const fn alone(part: &'static str) -> Script {
        Script { common: "", part, whole: OnceLock::new() }
    }

    fn whole(&self) -> &(String, String) {
        self.whole.get_or_init(|| {
            let text = format!("{}\n{}", self.common, self.part);
            let sha = digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
            (hex(sha.as_ref()), text)
        })
    }

    /// The call of a script that the server has seen.
    pub(crate) fn by_name(&self) -> Cmd {
        // Room for one limit, as most calls have.
        let mut command = Cmd::with_capacity(16, 192);
        command.arg("EVALSHA").arg(&self.whole().0);
        command
    }

    /// The call that brings the script along.
    pub(crate) fn whole_call(&self) -> Cmd {
        let mut command = Cmd::new();
        command.arg("EVAL").arg(&self.whole().1);
        command
    }
}

/// A key of the store: the counter's and the request's parts as a hash, for neither its length nor
/// what a client sent is the store's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StoreKey([u8; 16]);

impl StoreKey {
    /// The key for these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> StoreKey {
        let mut short = [0; 16];
        short.copy_from_slice(&digest(&SHA256, bytes).as_ref()[..16]);
        StoreKey(short)
    }

    pub(crate) fn name(self, prefix: &str) -> String {
        let mut name = String::with_capacity(prefix.len() + 33);
        name.push_str(prefix);
        name.push(':');
        name.push_str(&hex(&self.0));
        name
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

/// Adds the kind of a limit and its four parameters.
pub(crate) fn add_limit(command: &mut Cmd, limit: &Limit) {
    let (kind, parameters) = match limit {
        Limit::Bucket(bucket) => {
            let full = bucket.interval.saturating_mul(bucket.burst.into());
            let interval = bucket.interval;
            ("b", [interval / 1000, interval % 1000, full / 1000, full % 1000])
        }
        Limit::Window(window) => ("w", [window.limit.into(), micros(window.per).max(1), 0, 0]),
        Limit::Allowance(allowance) => {
            ("p", [allowance.limit, allowance.end.into(), micros(allowance.left).max(1), 0])
        }
    };
    command.arg(kind);
    for parameter in parameters {
        command.arg(parameter);
    }
}

/// The longest that a request may wait for its turn, in microseconds.
pub(crate) fn longest_wait(limit: &Limit) -> u64 {
    match limit {
        Limit::Bucket(bucket) => bucket.max_wait / 1000,
        Limit::Window(_) | Limit::Allowance(_) => 0,
    }
}

fn micros(nanos: u64) -> u64 {
    nanos.div_ceil(1000)
}

/// Reads the answer of `take`: whether the request may pass, and for each limit its verdict and
/// whether it was this one that refused.
pub(crate) fn read_take(answer: &Value, limits: usize) -> Option<Vec<Verdict>> {
    let numbers = numbers(answer)?;
    let (&allowed, rest) = numbers.split_first()?;
    if rest.len() != limits * 4 {
        return None;
    }
    let verdict = |of: &[u64]| Verdict {
        // When another limit refuses, one that would not says so, and has counted nothing.
        allowed: allowed == 1 || of[3] == 0,
        wait: of[1].saturating_mul(1000),
        remaining: of[0],
        reset: of[2].saturating_mul(1000),
    };
    Some(rest.chunks_exact(4).map(verdict).collect())
}

/// What a node was given of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Granted {
    pub(crate) granted: u64,
    /// What nobody holds.
    pub(crate) left: u64,
    /// Until there is something to be had again, in microseconds; 0 if something was granted.
    pub(crate) wait_us: u64,
    pub(crate) reset_us: u64,
    /// Nodes that hold something of the key.
    pub(crate) holders: u64,
    /// How long the share lasts from when it was asked for, in microseconds.
    pub(crate) valid_us: u64,
}

pub(crate) fn read_lease(answer: &Value) -> Option<Granted> {
    match numbers(answer)?[..] {
        [granted, left, wait_us, reset_us, holders, valid_us] => {
            Some(Granted { granted, left, wait_us, reset_us, holders, valid_us })
        }
        _ => None,
    }
}

fn numbers(answer: &Value) -> Option<Vec<u64>> {
    let Value::Array(items) = answer else { return None };
    let number = |item: &Value| match item {
        Value::Int(number) => u64::try_from(*number).ok(),
        _ => None,
    };
    items.iter().map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_hide_what_they_are_made_of() {
        let name = StoreKey::of(b"route/a|3:key").name("p");
        assert_eq!(name.len(), 2 + 32);
        assert!(name.starts_with("p:") && !name.contains("key"));
        assert_eq!(name, StoreKey::of(b"route/a|3:key").name("p"));
        assert_ne!(name, StoreKey::of(b"route/b|3:key").name("p"));
    }

    #[test]
    fn answers_that_are_none_are_refused() {
        let ints = |numbers: &[i64]| Value::Array(numbers.iter().map(|n| Value::Int(*n)).collect());
        assert_eq!(read_take(&Value::Nil, 1), None);
        assert_eq!(read_take(&ints(&[1, 2]), 1), None);
        assert_eq!(read_take(&ints(&[1, -2, 0, 3, 0]), 1), None);
        let verdicts = read_take(&ints(&[0, 2, 0, 3, 0, 5, 0, 4, 1]), 2).unwrap();
        assert_eq!((verdicts[0].allowed, verdicts[1].allowed), (true, false));
        assert_eq!((verdicts[1].remaining, verdicts[1].reset), (5, 4000));
        assert_eq!(read_lease(&ints(&[1, 2, 3])), None);
    }
}
