//! Server names to whatever takes them. A copy shares all that is large.

use std::sync::Arc;

use portcullis_config::model::HostPattern;

use super::map::Map;

/// What takes each server name of a listener.
#[derive(Clone)]
pub struct ServerNames<T> {
    exact: Map<T>,
    /// By the suffix with its leading dot.
    suffixes: Map<T>,
    /// What takes all other names, and connections without one.
    any: Option<T>,
}

impl<T> Default for ServerNames<T> {
    fn default() -> Self {
        ServerNames { exact: Map::default(), suffixes: Map::default(), any: None }
    }
}

impl<T: Clone> ServerNames<T> {
    /// What takes a name, which is lower case and has no last dot: by the whole name, else by the
    /// longest suffix, else what takes any.
    #[must_use]
    pub fn find(&self, name: Option<&str>) -> Option<&T> {
        let named = name.map(str::as_bytes).and_then(|name| {
            let dots = (1..name.len()).filter(|&dot| name[dot] == b'.');
            let mut suffixes = dots.filter_map(|dot| self.suffixes.find(&name[dot..]));
            self.exact.find(name).or_else(|| suffixes.next())
        });
        named.or(self.any.as_ref())
    }

    /// Lets `value` take these names; none are all that nobody else takes.
    pub fn insert(&mut self, names: &[HostPattern], value: &T) {
        if names.is_empty() {
            self.any = Some(value.clone());
        }
        for pattern in names {
            let (map, name) = self.map(pattern);
            *map.entry(name, || value.clone()) = value.clone();
        }
    }

    /// Lets nobody take these names.
    pub fn remove(&mut self, names: &[HostPattern]) {
        if names.is_empty() {
            self.any = None;
        }
        for pattern in names {
            let (map, name) = self.map(pattern);
            map.remove(name.as_bytes());
        }
    }

    /// Whether nothing is taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.suffixes.is_empty() && self.any.is_none()
    }

    fn map<'p>(&mut self, pattern: &'p HostPattern) -> (&mut Map<T>, &'p Arc<str>) {
        match pattern {
            HostPattern::Exact(name) => (&mut self.exact, name),
            HostPattern::Suffix(suffix) => (&mut self.suffixes, suffix),
        }
    }
}

impl<T> std::fmt::Debug for ServerNames<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerNames").field("names", &self.exact.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exact(name: &str) -> HostPattern {
        HostPattern::Exact(name.into())
    }

    fn below(name: &str) -> HostPattern {
        HostPattern::Suffix(format!(".{name}").into())
    }

    #[test]
    fn the_more_specific_takes_it() {
        let mut names = ServerNames::default();
        names.insert(&[exact("a.example.com"), below("b.com")], &1);
        names.insert(&[below("example.com")], &2);
        names.insert(&[below("x.example.com")], &3);
        for (name, taken) in [
            ("a.example.com", Some(1)),
            ("b.example.com", Some(2)),
            ("a.b.example.com", Some(2)),
            ("y.x.example.com", Some(3)),
            ("x.example.com", Some(2)),
            ("example.com", None),
            ("xexample.com", None),
            ("c.b.com", Some(1)),
            ("", None),
        ] {
            assert_eq!(names.find(Some(name)).copied(), taken, "{name}");
        }
        assert_eq!(names.find(None), None);
        names.insert(&[], &4);
        assert_eq!((names.find(None), names.find(Some("example.com"))), (Some(&4), Some(&4)));
        names.remove(&[below("example.com")]);
        assert_eq!(names.find(Some("b.example.com")), Some(&4));
        names.remove(&[]);
        names.remove(&[exact("a.example.com"), below("b.com")]);
        names.remove(&[below("x.example.com")]);
        assert!(names.is_empty());
    }
}
