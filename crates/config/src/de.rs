//! From nodes to the types of [`crate::raw`], with all faults at once: a fault is noted, its culprit
//! is taken out of the tree, and what is left is tried again. What is missing only because it was
//! taken out is not reported as missing.

mod error;
mod node;

use serde::de::DeserializeOwned;

pub(crate) use error::DecodeError;

use crate::node::{Entry, Finding, Kind, Node, Span};
use crate::report::nearest;

/// The name by which [`crate::raw::Spanned`] asks for the place of a value.
pub(crate) const SPANNED: &str = "$portcullis::Spanned";

/// The fields that [`crate::raw::Spanned`] is given.
pub(crate) const SPANNED_FIELDS: &[&str] = &["start", "end", "hidden", "value"];

/// What became of a node.
#[derive(Debug)]
pub(crate) struct Decoded<T> {
    /// The value, unless something it cannot do without was faulty.
    pub(crate) value: Option<T>,
    /// Whether something was taken out: absences in `value` are not the user's fault then.
    pub(crate) incomplete: bool,
}

/// Decodes the value of an entry; faults that concern the whole of it are reported at its key.
pub(crate) fn decode<T: DeserializeOwned>(
    entry: &mut Entry,
    findings: &mut Vec<Finding>,
) -> Decoded<T> {
    let mut incomplete = false;
    loop {
        let error = match T::deserialize(&entry.value) {
            Ok(value) => {
                return Decoded { value: Some(value), incomplete };
            }
            Err(error) => error,
        };
        incomplete = true;
        let path: Vec<usize> = error.path.iter().rev().copied().collect();
        if !follows_from_pruning(&entry.value, &path, &error) {
            let whole = holder_key(entry, &path);
            findings.push(error.into_finding(whole));
        }
        // Each round takes out an entry, so this ends.
        if !prune(&mut entry.value, &path) {
            return Decoded { value: None, incomplete };
        }
    }
}

/// Where the faulty value is named: its key, or the list item itself.
fn holder_key(entry: &Entry, path: &[usize]) -> Span {
    let Some((last, above)) = path.split_last() else {
        return entry.key_span;
    };
    match at(&entry.value, above).map(|node| &node.kind) {
        Some(Kind::Map(map)) => map.entries.get(*last).map(|entry| entry.key_span),
        Some(Kind::List(items)) => items.get(*last).map(|item| item.span),
        _ => None,
    }
    .unwrap_or(entry.key_span)
}

fn follows_from_pruning(root: &Node, path: &[usize], error: &DecodeError) -> bool {
    let Some(missing) = error.missing else {
        return false;
    };
    match at(root, path).map(|node| &node.kind) {
        // A misspelt key was reported with the right name as its hint.
        Some(Kind::Map(map)) => map.pruned.iter().any(|key| nearest(key, [missing]).is_some()),
        _ => false,
    }
}

fn at<'a>(mut node: &'a Node, path: &[usize]) -> Option<&'a Node> {
    for index in path {
        node = match &node.kind {
            Kind::List(items) => items.get(*index)?,
            Kind::Map(map) => &map.entries.get(*index)?.value,
            _ => return None,
        };
    }
    Some(node)
}

/// Takes the node at a path out; `false` when that would be the root.
fn prune(mut node: &mut Node, path: &[usize]) -> bool {
    let Some((last, above)) = path.split_last() else {
        return false;
    };
    for index in above {
        let next = match &mut node.kind {
            Kind::List(items) => items.get_mut(*index),
            Kind::Map(map) => map.entries.get_mut(*index).map(|entry| &mut entry.value),
            _ => None,
        };
        match next {
            Some(next) => node = next,
            None => return false,
        }
    }
    match &mut node.kind {
        Kind::List(items) if *last < items.len() => {
            items.remove(*last);
            true
        }
        Kind::Map(map) if *last < map.entries.len() => {
            let entry = map.entries.remove(*last);
            map.pruned.push(entry.key);
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::yaml;
    use serde::Deserialize;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        name: String,
        #[serde(default)]
        inners: Vec<Inner>,
        #[serde(default)]
        colour: Option<Colour>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        port: u16,
        #[serde(default)]
        on: bool,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "snake_case")]
    enum Colour {
        Red,
        LightGreen,
    }

    fn decoded(text: &str) -> (Decoded<Outer>, Vec<Finding>) {
        let mut findings = Vec::new();
        let value = yaml::read(text, &mut findings).unwrap();
        let mut entry = Entry { key: "x".into(), key_span: Span::new(0, 0), value };
        let decoded = decode(&mut entry, &mut findings);
        (decoded, findings)
    }

    #[test]
    fn all_faults_in_one_go() {
        let text = "naem: x\nname: n\ninners:\n- {port: 70000}\n- {port: 80, onn: true}\n- {on: 3}\n- 5\ncolour: light_gren\n";
        let (decoded, findings) = decoded(text);
        let said: Vec<_> =
            findings.iter().map(|f| (f.message.as_str(), f.help.as_deref())).collect();
        assert_eq!(
            said,
            [
                ("unknown key `naem`", Some("did you mean `name`?")),
                ("invalid value: `70000`", None),
                ("unknown key `onn`", Some("did you mean `on`?")),
                ("wrong type: an integer", None),
                ("`port` is missing", None),
                ("wrong type: an integer", None),
                ("`light_gren` is not known here", Some("did you mean `light_green`?")),
            ]
        );
        let value = decoded.value.unwrap();
        assert!(decoded.incomplete);
        assert_eq!(value.inners, [Inner { port: 80, on: false }]);
    }

    #[test]
    fn no_follow_on_faults() {
        let (decoded, findings) = decoded("name: [1]\ncolour: red\n");
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert!(decoded.value.is_none());
    }
}
