//! Host names to trees of paths.

use std::sync::Arc;

use portcullis_config::model::HostPattern;

use super::leaf::Leaf;
use super::map::Map;
use super::node::Node;

/// A longer name is no host (RFC 1035, 2.3.4, has 255) and matches only routes for any host.
const LONGEST: usize = 255;

/// The tree of each host pattern.
#[derive(Clone)]
pub(super) struct Hosts<T> {
    exact: Map<Arc<Node<T>>>,
    /// By the suffix with its leading dot.
    suffixes: Map<Arc<Node<T>>>,
    any: Arc<Node<T>>,
}

/// How a host led to a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HostMatch {
    Exact,
    /// By a suffix of so many bytes.
    Suffix(usize),
    Any,
}

impl<T> Default for Hosts<T> {
    fn default() -> Self {
        Hosts { exact: Map::default(), suffixes: Map::default(), any: Arc::default() }
    }
}

impl<T> Hosts<T> {
    /// Whether any route asks for a host.
    pub(super) fn names_any(&self) -> bool {
        !(self.exact.is_empty() && self.suffixes.is_empty())
    }

    /// The trees of the patterns that `host` matches, the most specific first.
    pub(super) fn trees<'a>(
        &'a self,
        host: Host<'_>,
    ) -> impl Iterator<Item = (HostMatch, &'a Node<T>)> {
        let host = host.name();
        let exact = self.exact.find(host).map(|tree| (HostMatch::Exact, tree));
        let dots = if self.suffixes.is_empty() { 0..0 } else { 1..host.len() };
        let suffixes = dots.filter(|&dot| host[dot] == b'.').filter_map(|dot| {
            let suffix = &host[dot..];
            Some((HostMatch::Suffix(suffix.len()), self.suffixes.find(suffix)?))
        });
        (exact.into_iter().chain(suffixes))
            .chain([(HostMatch::Any, &self.any)])
            .map(|(how, tree)| (how, &**tree))
    }
}

impl<T: Clone> Hosts<T> {
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.suffixes.is_empty() && self.any.is_empty()
    }

    pub(super) fn insert(&mut self, leaf: &Arc<Leaf<T>>) {
        let hosts = &leaf.route.matches.hosts;
        for pattern in hosts {
            let (map, name) = self.map(pattern);
            Arc::make_mut(map.entry(name, Arc::default)).insert(leaf);
        }
        if hosts.is_empty() {
            Arc::make_mut(&mut self.any).insert(leaf);
        }
    }

    pub(super) fn remove(&mut self, leaf: &Leaf<()>) -> bool {
        let hosts = &leaf.route.matches.hosts;
        let mut removed = false;
        for pattern in hosts {
            let (map, name) = self.map(pattern);
            let Some(tree) = map.find_mut(name.as_bytes()) else {
                continue;
            };
            removed |= Arc::make_mut(tree).remove(leaf);
            if tree.is_empty() {
                map.remove(name.as_bytes());
            }
        }
        if hosts.is_empty() {
            removed = Arc::make_mut(&mut self.any).remove(leaf);
        }
        removed
    }

    fn map<'p>(&mut self, pattern: &'p HostPattern) -> (&mut Map<Arc<Node<T>>>, &'p Arc<str>) {
        match pattern {
            HostPattern::Exact(name) => (&mut self.exact, name),
            HostPattern::Suffix(suffix) => (&mut self.suffixes, suffix),
        }
    }
}

/// A host as the patterns have it: lower case, without its last dot.
#[derive(Debug, Clone, Copy)]
pub(super) struct Host<'a>(&'a [u8]);

impl<'a> Host<'a> {
    /// `text` is working memory.
    pub(super) fn of(sent: &[u8], text: &'a mut Vec<u8>) -> Host<'a> {
        let sent = sent.strip_suffix(b".").unwrap_or(sent);
        text.clear();
        if sent.len() <= LONGEST {
            text.extend_from_slice(sent);
            text.make_ascii_lowercase();
        }
        Host(text)
    }

    pub(super) fn name(&self) -> &'a [u8] {
        self.0
    }
}
