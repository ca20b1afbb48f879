//! Policies in words, for people who ask what applies and why.

use std::fmt::Write;
use std::net::IpAddr;
use std::time::Duration;

use portcullis_config::model::{
    Algorithm, Concurrency, Cost, CountBy, KeyPart, Missing, OnLimit, Policy, Quota, RateLimit,
    Sharing,
};

use crate::key::Facts;
use crate::policy::Running;

impl Running {
    /// What it asks of requests, in a line.
    #[must_use]
    pub fn rule(&self) -> String {
        match &self.policy {
            Policy::RateLimit(policy) => rate_limit(policy),
            Policy::Quota(policy) => quota(policy),
            Policy::Concurrency(policy) => concurrency(policy),
        }
    }

    /// The key under which it counts a request, part by part.
    #[must_use]
    pub fn key_parts(&self, facts: &impl Facts) -> Vec<String> {
        let by: &CountBy = self.by();
        by.parts.iter().map(|part| part_of(part, by.missing, facts)).collect()
    }
}

fn rate_limit(policy: &RateLimit) -> String {
    let mut text = format!("{} in {}", policy.limit, time(policy.per));
    let _ = match policy.algorithm {
        Algorithm::TokenBucket { burst } => write!(text, ", {burst} at once"),
        Algorithm::SlidingWindow => write!(text, ", in a sliding window"),
    };
    cost(&policy.cost, &mut text);
    let _ = match policy.on_limit {
        OnLimit::Refuse => write!(text, ", else 429"),
        OnLimit::Delay { max_delay, waiters } => {
            let longest = time(max_delay);
            write!(text, ", else up to {waiters} wait up to {longest} each, else 429")
        }
    };
    shared(policy.sharing.as_ref(), &mut text);
    text
}

/// Where it is counted together with other nodes.
fn shared(sharing: Option<&Sharing>, text: &mut String) {
    if let Some(Sharing { store, mode }) = sharing {
        let _ = write!(text, "; counted in the store `{store}` ({})", mode.as_str());
    }
}

fn quota(policy: &Quota) -> String {
    let (limit, per, zone) = (policy.limit, policy.per.as_str(), &policy.time_zone);
    let mut text = format!("{limit} in a calendar {per} of {zone}");
    cost(&policy.cost, &mut text);
    text.push_str(", else 429");
    shared(policy.sharing.as_ref(), &mut text);
    text
}

fn concurrency(policy: &Concurrency) -> String {
    let (limit, queue) = (policy.limit, policy.queue);
    match queue {
        0 => format!("{limit} under way at once, else 429"),
        _ => format!(
            "{limit} under way at once, else up to {queue} wait up to {}, else 429",
            time(policy.wait)
        ),
    }
}

fn cost(cost: &Cost, text: &mut String) {
    let _ = match cost {
        Cost::Fixed(1) => Ok(()),
        Cost::Fixed(cost) => write!(text, ", a request counts as {cost}"),
        Cost::Header { name, otherwise, max } => {
            write!(text, ", a request counts as its `{name}` says (up to {max}, else {otherwise})")
        }
    };
}

fn time(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        _ if time.subsec_nanos() > 0 => format!("{}ms", time.as_millis()),
        _ if seconds >= 86_400 && seconds.is_multiple_of(86_400) => {
            format!("{}d", seconds / 86_400)
        }
        _ if seconds >= 3600 && seconds.is_multiple_of(3600) => format!("{}h", seconds / 3600),
        _ if seconds >= 60 && seconds.is_multiple_of(60) => format!("{}m", seconds / 60),
        _ => format!("{seconds}s"),
    }
}

fn part_of(part: &KeyPart, missing: Missing, facts: &impl Facts) -> String {
    let (label, value) = match part {
        KeyPart::Ip { prefix4, prefix6 } => {
            let network = facts.client().map(|ip| match ip.to_canonical() {
                IpAddr::V4(ip) => format!("{ip}/{prefix4}"),
                IpAddr::V6(ip) => format!("{ip}/{prefix6}"),
            });
            ("ip".to_owned(), network.ok_or("unknown"))
        }
        KeyPart::Consumer => ("consumer".to_owned(), only(part, facts)),
        KeyPart::Plan => ("plan".to_owned(), only(part, facts)),
        KeyPart::Group => ("group".to_owned(), only(part, facts)),
        KeyPart::Route => ("route".to_owned(), only(part, facts)),
        KeyPart::Service => ("service".to_owned(), only(part, facts)),
        KeyPart::Listener => ("listener".to_owned(), only(part, facts)),
        KeyPart::Host => ("host".to_owned(), only(part, facts)),
        KeyPart::Method => ("method".to_owned(), only(part, facts)),
        KeyPart::Header(name) => (format!("header {name}"), only(part, facts)),
        KeyPart::Cookie(name) => (format!("cookie {name}"), only(part, facts)),
        KeyPart::Query(name) => (format!("query {name}"), only(part, facts)),
        KeyPart::Claim(path) => (format!("claim {}", path.as_str()), only(part, facts)),
        KeyPart::Param(name) => (format!("param {name}"), only(part, facts)),
    };
    match value {
        Ok(value) => format!("{label} = {value}"),
        Err(why) => {
            let then = match missing {
                Missing::OwnBucket => "counted together with all others like it",
                Missing::Refuse => "refused with 400",
                Missing::Unlimited => "not limited by this policy",
            };
            format!("{label} {why}: {then}")
        }
    }
}

/// The value of a part, or what is wrong with it.
fn only(part: &KeyPart, facts: &impl Facts) -> Result<String, &'static str> {
    let mut values = Vec::new();
    facts.values(part, &mut |value| values.push(String::from_utf8_lossy(value).into_owned()));
    match values.len() {
        0 => Err("missing"),
        1 => Ok(values.remove(0)),
        _ => Err("there more than once"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::{Registry, Scope};
    use crate::testing::{Asked, concurrency, quota, rate_limit};

    #[test]
    fn policies_are_told_in_a_line() {
        let policies =
            [rate_limit("r", 100, Duration::from_secs(120)), quota("q", 5), concurrency("c", 7)];
        let running = Registry::new(1).limits(&Scope::Global, &policies);
        let rules: Vec<String> = running.iter().map(|running| running.rule()).collect();
        assert_eq!(
            rules,
            [
                "100 in 2m, 100 at once, else 429",
                "5 in a calendar day of UTC, else 429",
                "7 under way at once, else up to 1 wait up to 1s, else 429",
            ]
        );
        assert_eq!(running[0].key_parts(&Asked::default().with("k", "v")), ["header k = v"]);
        assert_eq!(
            running[0].key_parts(&Asked::default()),
            ["header k missing: counted together with all others like it"]
        );
    }
}
