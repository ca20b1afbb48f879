//! Parts of a request as maps. One that is there more than once has no value: nobody can say which of
//! them the service will go by.

use std::borrow::Cow;

use portcullis_cel::{HostMap, Value};
use portcullis_policies::Consumer;
use portcullis_wire::{Fields, Known};

use super::variables::text;
use crate::router::{self, Params as PathParams};

const TWICE: &str = "it is there more than once";

type Found<'a> = Result<Option<Value<'a>>, &'static str>;

/// The only one, if there is one.
fn only<'a>(mut values: impl Iterator<Item = &'a [u8]>) -> Found<'a> {
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(TWICE),
        (Some(value), None) => text(value).map(Some),
        (None, None) => Ok(None),
    }
}

/// Each once, of those that are text.
fn each_once<'a>(names: impl Iterator<Item = &'a [u8]>) -> Vec<Cow<'a, str>> {
    let mut all: Vec<Cow<'a, str>> = Vec::new();
    for name in names.filter_map(|name| std::str::from_utf8(name).ok()) {
        if !all.iter().any(|known| **known == *name) {
            all.push(Cow::Borrowed(name));
        }
    }
    all
}

/// Header fields, by their names in any case.
#[derive(Debug)]
pub(super) struct Headers<'a>(pub(super) &'a Fields);

impl<'a> HostMap<'a> for Headers<'a> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn value(&self, key: &str) -> Found<'a> {
        let key = key.as_bytes();
        only(self.0.iter().filter(|f| f.name.eq_ignore_ascii_case(key)).map(|f| f.value))
    }

    fn keys(&self) -> Vec<Cow<'a, str>> {
        let mut all: Vec<Cow<'a, str>> = Vec::new();
        for field in self.0.iter() {
            let name = String::from_utf8_lossy(field.name).to_ascii_lowercase();
            if !all.iter().any(|known| **known == *name) {
                all.push(Cow::Owned(name));
            }
        }
        all
    }
}

/// Cookies.
#[derive(Debug)]
pub(super) struct Cookies<'a>(pub(super) &'a Fields);

impl<'a> HostMap<'a> for Cookies<'a> {
    fn len(&self) -> usize {
        // A cookie has three bytes at least, with what parts it from the next.
        self.0.all_known(Known::Cookie).map(|line| line.len() / 3 + 1).sum()
    }

    fn value(&self, key: &str) -> Found<'a> {
        only(router::cookies(self.0, key.as_bytes()))
    }

    fn keys(&self) -> Vec<Cow<'a, str>> {
        let pairs = self.0.all_known(Known::Cookie).flat_map(|line| line.split(|&b| b == b';'));
        each_once(pairs.filter_map(|pair| Some(pair[..memchr::memchr(b'=', pair)?].trim_ascii())))
    }
}

/// Query parameters, decoded.
#[derive(Debug)]
pub(super) struct Query<'a>(pub(super) Option<&'a [u8]>);

impl<'a> HostMap<'a> for Query<'a> {
    fn len(&self) -> usize {
        self.0.map_or(0, |query| query.len() / 2 + 1)
    }

    fn value(&self, key: &str) -> Found<'a> {
        let mut found: Option<Vec<u8>> = None;
        let mut count = 0;
        router::each_query_value(self.0, key, &mut |value| {
            count += 1;
            found = Some(value.to_vec());
        });
        match (found, count) {
            (Some(value), 1) => String::from_utf8(value)
                .map(|value| Some(Value::Text(Cow::Owned(value))))
                .map_err(|_| "this is no UTF-8"),
            (Some(_), _) => Err(TWICE),
            (None, _) => Ok(None),
        }
    }

    fn keys(&self) -> Vec<Cow<'a, str>> {
        let pairs = self.0.unwrap_or_default().split(|&byte| byte == b'&');
        let pairs = pairs.filter(|pair| !pair.is_empty());
        each_once(pairs.map(|pair| &pair[..memchr::memchr(b'=', pair).unwrap_or(pair.len())]))
    }
}

/// Parameters of the path, as they stand in the normalised path.
#[derive(Debug)]
pub(super) struct Params<'a> {
    pub(super) params: &'a PathParams,
    pub(super) path: &'a [u8],
}

impl<'a> HostMap<'a> for Params<'a> {
    fn len(&self) -> usize {
        self.params.iter(self.path).count()
    }

    fn value(&self, key: &str) -> Found<'a> {
        only(self.params.value(key, self.path).into_iter())
    }

    fn keys(&self) -> Vec<Cow<'a, str>> {
        each_once(self.params.iter(self.path).map(|(name, _)| name))
    }
}

/// What is known of a consumer besides.
#[derive(Debug)]
pub(super) struct Metadata<'a>(pub(super) Option<&'a Consumer>);

impl<'a> HostMap<'a> for Metadata<'a> {
    fn len(&self) -> usize {
        let more = self.0.and_then(|consumer| consumer.more.as_ref());
        more.map_or(0, |more| more.metadata.len())
    }

    fn value(&self, key: &str) -> Found<'a> {
        Ok(self.0.and_then(|consumer| consumer.metadata(key)).map(Value::text))
    }

    fn keys(&self) -> Vec<Cow<'a, str>> {
        let more = self.0.and_then(|consumer| consumer.more.as_ref());
        let keys = more.into_iter().flat_map(|more| more.metadata.keys());
        keys.map(|key| Cow::Borrowed(key.as_str())).collect()
    }
}
