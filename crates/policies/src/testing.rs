//! Requests and policies for tests.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use portcullis_config::model::{
    Algorithm, Concurrency, Cost, CountBy, KeyPart, Missing, OnLimit, Period, Policy, Quota,
    RateLimit, ReplyFields,
};

use crate::Facts;

/// A request with these fields, which stand for parts of every kind.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    client: Option<IpAddr>,
    values: Vec<(String, String)>,
}

impl Asked {
    pub(crate) fn with(mut self, name: &str, value: &str) -> Asked {
        self.values.push((name.to_owned(), value.to_owned()));
        self
    }
}

impl From<&str> for Asked {
    fn from(ip: &str) -> Asked {
        Asked { client: Some(ip.parse().unwrap()), values: Vec::new() }
    }
}

impl Facts for Asked {
    fn client(&self) -> Option<IpAddr> {
        self.client
    }

    fn values(&self, part: &KeyPart, each: &mut dyn FnMut(&[u8])) {
        match part {
            KeyPart::Header(name) | KeyPart::Query(name) | KeyPart::Cookie(name) => {
                self.header(name, each);
            }
            _ => {}
        }
    }

    fn header(&self, name: &str, each: &mut dyn FnMut(&[u8])) {
        for (_, value) in self.values.iter().filter(|(found, _)| found == name) {
            each(value.as_bytes());
        }
    }
}

fn by_header(name: &str) -> CountBy {
    CountBy { parts: vec![KeyPart::Header(name.into())], missing: Missing::OwnBucket, keys: 1000 }
}

const STANDARD: ReplyFields = ReplyFields { standard: true, x: false };

/// A rate limit by the header `k`.
pub(crate) fn rate_limit(name: &str, limit: u32, per: Duration) -> Policy {
    Policy::RateLimit(Arc::new(RateLimit {
        name: name.into(),
        by: by_header("k"),
        algorithm: Algorithm::TokenBucket { burst: limit },
        limit,
        per,
        cost: Cost::Fixed(1),
        on_limit: OnLimit::Refuse,
        sharing: None,
        fields: STANDARD,
    }))
}

/// A quota of a day by the header `k`.
pub(crate) fn quota(name: &str, limit: u64) -> Policy {
    Policy::Quota(Arc::new(Quota {
        name: name.into(),
        by: by_header("k"),
        limit,
        per: Period::Day,
        time_zone: "UTC".into(),
        cost: Cost::Fixed(1),
        sharing: None,
        fields: STANDARD,
    }))
}

/// A limit of concurrency by the header `k`, with a line of one.
pub(crate) fn concurrency(name: &str, limit: u32) -> Policy {
    Policy::Concurrency(Arc::new(Concurrency {
        name: name.into(),
        by: by_header("k"),
        limit,
        queue: 1,
        wait: Duration::from_secs(1),
        fields: STANDARD,
    }))
}
