//! The shape of a host and a path: what they take, without the names of parameters. Shapes are byte
//! strings whose order makes everything below a host or a path one range.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;

use crate::model::{HostPattern, PathPattern, Segment};

/// The bytes of a shape.
pub(crate) type Key = Vec<u8>;

// What is below 0x20 stands in no host and no normalised path.
const END: u8 = 0;
const REST: u8 = 1;
const PARAM: u8 = 2;
const LITERAL: u8 = 3;
const REGEX: u8 = 4;
const EXACT_HOST: u8 = 5;
const WIDE_HOST: u8 = 6;

/// The most places that are looked at for one route.
const MOST_STEPS: usize = 256;

/// A host and a path of a route.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    key: Key,
    /// The labels of the host, the last first; the flag says that more may come in front.
    labels: Vec<String>,
    wide: bool,
    path: Path,
    /// Where the path begins in the key.
    host_length: usize,
}

#[derive(Debug, Clone)]
enum Path {
    /// Segments (`None` is a parameter), and whether anything may follow.
    Segments(Vec<Option<String>>, bool),
    Regex(String),
}

impl Shape {
    pub(super) fn new(host: Option<&HostPattern>, path: &PathPattern) -> Self {
        let (labels, wide) = match host {
            None => (Vec::new(), true),
            Some(HostPattern::Exact(name)) => (labels(name), false),
            Some(HostPattern::Suffix(suffix)) => (labels(suffix.trim_start_matches('.')), true),
        };
        let path = match path {
            PathPattern::Regex(regex) => Path::Regex(regex.as_str().to_owned()),
            PathPattern::Prefix(segments) => Path::Segments(plain(segments), true),
            PathPattern::Segments(segments) => match segments.split_last() {
                Some((Segment::Rest(_), above)) => Path::Segments(plain(above), true),
                _ => Path::Segments(plain(segments), false),
            },
        };
        let mut key = host_key(&labels, wide);
        let host_length = key.len();
        match &path {
            Path::Regex(source) => {
                key.push(REGEX);
                key.extend(source.as_bytes());
            }
            Path::Segments(segments, rest) => {
                segments.iter().for_each(|segment| push_segment(&mut key, segment.as_deref()));
                key.push(if *rest { REST } else { END });
            }
        }
        Shape { key, labels, wide, path, host_length }
    }

    pub(super) fn key(&self) -> &Key {
        &self.key
    }

    pub(super) fn into_key(self) -> Key {
        self.key
    }

    /// What all keys begin with that this shape covers.
    pub(super) fn literal_prefix(&self) -> Key {
        if self.wide {
            // Any label may come next, so the path cannot narrow it.
            return self.labels.iter().flat_map(|label| label_key(label)).collect();
        }
        let mut key = self.key[..self.host_length].to_vec();
        if let Path::Segments(segments, _) = &self.path {
            let literals = segments.iter().take_while(|segment| segment.is_some());
            literals.for_each(|segment| push_segment(&mut key, segment.as_deref()));
        }
        key
    }

    /// Calls `each` with the keys of other shapes that take all that this one takes, until it says
    /// that it has enough. Gives up after a bounded number of steps.
    pub(super) fn each_cover<V>(
        &self,
        places: &BTreeMap<Key, V>,
        each: &mut dyn FnMut(&Key) -> bool,
    ) {
        let mut walk = Walk { places, each, steps: 0 };
        let mut hosts = Vec::new();
        if !self.wide {
            hosts.push(host_key(&self.labels, false));
        }
        // `*.example.com` covers `*.a.example.com` and itself, but not `example.com`.
        let longest =
            if self.wide { self.labels.len() } else { self.labels.len().saturating_sub(1) };
        hosts.extend((0..=longest).rev().map(|count| host_key(&self.labels[..count], true)));
        for mut host in hosts {
            let done = match &self.path {
                Path::Segments(segments, rest) => walk.path(&mut host, segments, *rest),
                Path::Regex(source) => {
                    let everything = walk.try_key(&mut host, &[REST]);
                    let same: Key = [&[REGEX], source.as_bytes()].concat();
                    everything || walk.try_key(&mut host, &same)
                }
            };
            if done {
                return;
            }
        }
    }
}

struct Walk<'a, V> {
    places: &'a BTreeMap<Key, V>,
    each: &'a mut dyn FnMut(&Key) -> bool,
    steps: usize,
}

impl<V> Walk<'_, V> {
    fn path(&mut self, at: &mut Key, left: &[Option<String>], rest: bool) -> bool {
        self.steps += 1;
        let from = (Bound::Included(at.as_slice()), Bound::Unbounded);
        let mut from_here = self.places.range::<[u8], _>(from);
        let nothing_here = from_here.next().is_none_or(|(key, _)| !key.starts_with(at));
        if self.steps > MOST_STEPS || nothing_here {
            return false;
        }
        if self.try_key(at, &[REST]) {
            return true;
        }
        let Some((segment, left)) = left.split_first() else {
            return !rest && self.try_key(at, &[END]);
        };
        let length = at.len();
        if segment.is_some() {
            push_segment(at, segment.as_deref());
            let done = self.path(at, left, rest);
            at.truncate(length);
            if done {
                return true;
            }
        }
        // A parameter is never empty, so it does not take a trailing slash.
        if segment.as_deref() != Some("") {
            push_segment(at, None);
            let done = self.path(at, left, rest);
            at.truncate(length);
            return done;
        }
        false
    }

    fn try_key(&mut self, at: &mut Key, end: &[u8]) -> bool {
        let length = at.len();
        at.extend(end);
        let done = self.places.contains_key(at) && (self.each)(at);
        at.truncate(length);
        done
    }
}

fn labels(host: &str) -> Vec<String> {
    host.rsplit('.').map(str::to_owned).collect()
}

fn label_key(label: &str) -> impl Iterator<Item = u8> {
    label.bytes().chain([b'.'])
}

fn host_key(labels: &[String], wide: bool) -> Key {
    let mut key: Key = labels.iter().flat_map(|label| label_key(label)).collect();
    key.push(if wide { WIDE_HOST } else { EXACT_HOST });
    key
}

fn plain(segments: &[Segment]) -> Vec<Option<String>> {
    let plain = |segment: &Segment| match segment {
        Segment::Literal(text) => Some(text.to_string()),
        Segment::Param(_) | Segment::Rest(_) => None,
    };
    segments.iter().map(plain).collect()
}

fn push_segment(key: &mut Key, segment: Option<&str>) {
    match segment {
        None => key.push(PARAM),
        Some(text) => {
            key.push(LITERAL);
            key.extend(text.as_bytes());
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            Path::Regex(source) => write!(f, "paths that match `{source}`")?,
            Path::Segments(segments, true) if segments.is_empty() => f.write_str("any path")?,
            Path::Segments(segments, rest) => {
                f.write_str("`")?;
                for segment in segments {
                    write!(f, "/{}", segment.as_deref().unwrap_or("{}"))?;
                }
                f.write_str(if *rest { "` and below" } else { "`" })?;
            }
        }
        let host: Vec<&str> = self.labels.iter().rev().map(String::as_str).collect();
        match (host.as_slice(), self.wide) {
            ([], _) => Ok(()),
            (labels, true) => write!(f, " on `*.{}`", labels.join(".")),
            (labels, false) => write!(f, " on `{}`", labels.join(".")),
        }
    }
}
