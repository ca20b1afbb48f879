//! The fields that tell clients of limits: `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-
//! ratelimit-headers-10), and the older `X-RateLimit-Limit`, `-Remaining` and `-Reset`.

use std::time::Duration;

use portcullis_config::model::{Policy, ReplyFields};
use portcullis_wire::{Fields, Known};

use crate::limit::Verdict;

/// The largest integer of a structured field (RFC 9651, 3.3.1). Limits are smaller, but what a store
/// says is left need not be.
const MOST_SAID: u64 = 999_999_999_999_999;

/// What stays the same in what is said of a policy.
#[derive(Debug)]
pub(crate) struct Words {
    fields: ReplyFields,
    limit: u64,
    /// Its item of `RateLimit-Policy`: `"name";q=100;w=60`.
    policy: Box<[u8]>,
    /// The beginning of its item of `RateLimit`: `"name";r=`.
    item: Box<[u8]>,
}

/// What is said of a policy in a reply.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told<'a> {
    pub(crate) words: &'a Words,
    pub(crate) verdict: Verdict,
}

impl Words {
    pub(crate) fn new(policy: &Policy) -> Words {
        let name = policy.name();
        // The names of policies have nothing that would have to be escaped in a string of RFC 9651.
        let (limit, more, fields) = match policy {
            Policy::RateLimit(policy) => {
                (u64::from(policy.limit), window(policy.per), policy.fields)
            }
            // Of a period of the calendar no length is said: months differ, and so do days.
            Policy::Quota(policy) => (policy.limit, String::new(), policy.fields),
            Policy::Concurrency(policy) => {
                (u64::from(policy.limit), ";qu=\"concurrent-requests\"".to_owned(), policy.fields)
            }
        };
        Words {
            fields,
            limit,
            policy: format!("\"{name}\";q={limit}{more}").into_bytes().into(),
            item: format!("\"{name}\";r=").into_bytes().into(),
        }
    }
}

/// The window in whole seconds; nothing is said of one that has none.
fn window(per: Duration) -> String {
    if per.subsec_nanos() == 0 { format!(";w={}", per.as_secs()) } else { String::new() }
}

/// Adds the fields of these policies to a reply.
pub(crate) fn write<'a>(told: impl Iterator<Item = Told<'a>> + Clone, out: &mut Fields) {
    let (mut standard, mut x) = (false, false);
    for Told { words, .. } in told.clone() {
        standard |= words.fields.standard;
        x |= words.fields.x;
    }
    if standard {
        out.push_with(Known::Other, b"RateLimit-Policy", |text| {
            list(text, told.clone(), |text, told| text.extend_from_slice(&told.words.policy));
        });
        out.push_with(Known::Other, b"RateLimit", |text| list(text, told.clone(), item));
    }
    // These know one limit: the one of which the least is left.
    if !x {
        return;
    }
    let known = told.filter(|told| told.words.fields.x);
    if let Some(Told { words, verdict }) = known.min_by_key(|told| told.verdict.remaining) {
        let mut digits = itoa::Buffer::new();
        out.push(b"X-RateLimit-Limit", digits.format(words.limit).as_bytes());
        out.push(b"X-RateLimit-Remaining", digits.format(verdict.remaining).as_bytes());
        out.push(b"X-RateLimit-Reset", digits.format(seconds(verdict.reset)).as_bytes());
    }
}

/// Appends a list of RFC 9651 of the policies of which it is told.
fn list<'a>(
    text: &mut Vec<u8>,
    told: impl Iterator<Item = Told<'a>>,
    item: impl Fn(&mut Vec<u8>, Told<'a>),
) {
    let start = text.len();
    for told in told {
        if !told.words.fields.standard {
            continue;
        }
        if text.len() > start {
            text.extend_from_slice(b", ");
        }
        item(text, told);
    }
}

/// Appends what is left of a policy, and until when.
fn item(text: &mut Vec<u8>, Told { words, verdict }: Told<'_>) {
    let mut digits = itoa::Buffer::new();
    text.extend_from_slice(&words.item);
    text.extend_from_slice(digits.format(verdict.remaining.min(MOST_SAID)).as_bytes());
    // How long a place will be taken is not known.
    if verdict.reset > 0 {
        text.extend_from_slice(b";t=");
        text.extend_from_slice(digits.format(seconds(verdict.reset)).as_bytes());
    }
}

/// Adds how long a refused client should wait, in nanoseconds; at least a second.
pub(crate) fn write_retry_after(wait: u64, out: &mut Fields) {
    out.push(b"Retry-After", itoa::Buffer::new().format(seconds(wait).max(1)).as_bytes());
}

/// Whole seconds, rounded up: who comes then is not too early.
fn seconds(nanos: u64) -> u64 {
    nanos.div_ceil(1_000_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{concurrency, quota, rate_limit};

    fn written(policies: &[(Policy, u64, u64)]) -> Vec<String> {
        let words: Vec<Words> = policies.iter().map(|(policy, ..)| Words::new(policy)).collect();
        let told = words.iter().zip(policies).map(|(words, &(_, remaining, reset))| Told {
            words,
            verdict: Verdict { allowed: true, wait: 0, remaining, reset },
        });
        let mut fields = Fields::default();
        write(told, &mut fields);
        fields
            .iter()
            .map(|field| {
                let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
                format!("{}: {}", text(field.name), text(field.value))
            })
            .collect()
    }

    #[test]
    fn several_policies_are_items_of_one_list() {
        let policies = [
            (rate_limit("burst", 10, Duration::from_secs(1)), 9, 100_000_000),
            (quota("daily", 1000), 0, 60_000_000_000),
            (concurrency("at-once", 5), 4, 0),
        ];
        assert_eq!(
            written(&policies),
            [
                "RateLimit-Policy: \"burst\";q=10;w=1, \"daily\";q=1000, \"at-once\";q=5;qu=\"concurrent-requests\"",
                "RateLimit: \"burst\";r=9;t=1, \"daily\";r=0;t=60, \"at-once\";r=4",
            ]
        );
    }

    #[test]
    fn the_older_fields_tell_of_the_tightest() {
        let x = |name, limit| {
            let Policy::RateLimit(policy) = rate_limit(name, limit, Duration::from_millis(1500))
            else {
                unreachable!()
            };
            let fields = ReplyFields { standard: false, x: true };
            Policy::RateLimit(
                portcullis_config::model::RateLimit { fields, ..(*policy).clone() }.into(),
            )
        };
        assert_eq!(
            written(&[(x("a", 100), 50, 1_000_000_001), (x("b", 60), 3, 7_000_000_000)]),
            ["X-RateLimit-Limit: 60", "X-RateLimit-Remaining: 3", "X-RateLimit-Reset: 7"]
        );
    }
}
