//! References inside string values: `${NAME}` and `${NAME:-default}` take an environment variable,
//! a value that is wholly `file:PATH` takes a file's trimmed text, and one that is wholly
//! `vault:PATH#FIELD` a secret. What comes in is marked hidden, so that no message shows it.

use super::{Finding, Kind, Node, Span};

/// Where references are looked up.
pub(crate) trait Lookup {
    /// The value of an environment variable.
    fn env(&mut self, name: &str) -> Option<String>;
    /// The text of a file, or why it cannot be had.
    fn file(&mut self, path: &str) -> Result<String, String>;
    /// The secret that a reference stands for, or why it cannot be had.
    fn vault(&mut self, reference: &str) -> Result<String, String>;
}

/// Replaces every reference below a node; one that cannot be replaced is a fault, and its value
/// becomes a hidden empty string. Returns whether there was any reference.
pub(crate) fn resolve(
    node: &mut Node,
    lookup: &mut impl Lookup,
    findings: &mut Vec<Finding>,
) -> bool {
    match &mut node.kind {
        Kind::Text(text) => {
            if !text.contains("${") && !text.starts_with("file:") && !text.starts_with(VAULT) {
                return false;
            }
            let Replaced { text: replaced, hidden } = replace(text, node.span, lookup, findings);
            *text = replaced.into();
            node.hidden = hidden;
            hidden
        }
        Kind::List(items) => {
            items.iter_mut().fold(false, |any, item| resolve(item, lookup, findings) | any)
        }
        Kind::Map(map) => map
            .entries
            .iter_mut()
            .fold(false, |any, entry| resolve(&mut entry.value, lookup, findings) | any),
        _ => false,
    }
}

/// How a reference to a secret begins.
const VAULT: &str = "vault:";

struct Replaced {
    text: String,
    hidden: bool,
}

fn replace(
    text: &str,
    span: Span,
    lookup: &mut impl Lookup,
    findings: &mut Vec<Finding>,
) -> Replaced {
    let (out, mut hidden) = replace_variables(text, span, lookup, findings);
    // As below, only one that stands in the configuration counts.
    if let Some(reference) = out.strip_prefix(VAULT).filter(|_| text.starts_with(VAULT)) {
        let text = lookup.vault(reference).unwrap_or_else(|why| {
            findings.push(Finding::error(span, format!("this secret cannot be had: {why}")));
            String::new()
        });
        return Replaced { text, hidden: true };
    }
    // Only a `file:` that stands in the configuration counts, not one that a variable brings in.
    let Some(path) = out.strip_prefix("file:").filter(|_| text.starts_with("file:")) else {
        return Replaced { text: out, hidden };
    };
    hidden = true;
    let text = match lookup.file(path) {
        Ok(content) => content.trim().to_owned(),
        Err(why) => {
            findings.push(Finding::error(
                span,
                format!("the file of this reference cannot be read: {why}"),
            ));
            String::new()
        }
    };
    Replaced { text, hidden }
}

fn replace_variables(
    text: &str,
    span: Span,
    lookup: &mut impl Lookup,
    findings: &mut Vec<Finding>,
) -> (String, bool) {
    let (mut out, mut rest, mut hidden) = (String::new(), text, false);
    while let Some(at) = rest.find("${") {
        if rest[..at].ends_with('$') {
            // `$${` is a plain `${`.
            out.push_str(&rest[..at - 1]);
            out.push_str("${");
            rest = &rest[at + 2..];
            continue;
        }
        out.push_str(&rest[..at]);
        let inner = &rest[at + 2..];
        hidden = true;
        let Some(end) = inner.find('}') else {
            findings.push(
                Finding::error(span, "a `${` without its `}`").help("write `$${` for a plain `${`"),
            );
            return (out, hidden);
        };
        let (name, default) = match inner[..end].split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (&inner[..end], None),
        };
        match variable(name, default, lookup) {
            Ok(value) => out.push_str(&value),
            Err(message) => findings.push(
                Finding::error(span, message)
                    .help(format!("a default is written `${{{name}:-default}}`")),
            ),
        }
        rest = &inner[end + 1..];
    }
    out.push_str(rest);
    (out, hidden)
}

fn variable(name: &str, default: Option<&str>, lookup: &mut impl Lookup) -> Result<String, String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || !name.chars().all(legal) || name.starts_with(|c: char| c.is_ascii_digit())
    {
        return Err(format!("`{name}` is no name of an environment variable"));
    }
    match (lookup.env(name), default) {
        // As in a shell, `:-` also stands in for an empty value.
        (Some(value), Some(default)) if value.is_empty() => Ok(default.to_owned()),
        (Some(value), _) => Ok(value),
        (None, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err(format!("the environment variable `{name}` is not set")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fake;

    impl Lookup for Fake {
        fn env(&mut self, name: &str) -> Option<String> {
            match name {
                "HOST" => Some("example.com".into()),
                "EMPTY" => Some(String::new()),
                "PLOT" => Some("vault:kv/data/a#b".into()),
                "TRICK" => Some("file:/etc/passwd".into()),
                _ => None,
            }
        }
        fn file(&mut self, path: &str) -> Result<String, String> {
            match path {
                "example.com/token" => Ok(" s3cret\n".into()),
                _ => Err("no such file".into()),
            }
        }
        fn vault(&mut self, reference: &str) -> Result<String, String> {
            match reference {
                "kv/data/example.com#pw" => Ok("s3cret".into()),
                _ => Err("Vault is down".into()),
            }
        }
    }

    #[test]
    fn secrets_are_hidden_and_variables_bring_in_none() {
        assert_eq!(resolved("vault:kv/data/example.com#pw"), ("s3cret".into(), true, vec![]));
        assert_eq!(resolved("vault:kv/data/${HOST}#pw").0, "s3cret");
        assert_eq!(resolved("${PLOT}").0, "vault:kv/data/a#b");
        let (text, hidden, faults) = resolved("vault:kv/data/x#pw");
        assert_eq!((&*text, hidden), ("", true));
        assert_eq!(faults, ["this secret cannot be had: Vault is down"]);
    }

    fn resolved(text: &str) -> (String, bool, Vec<String>) {
        let mut node = Node::new(Span::new(0, 1), Kind::Text(text.into()));
        let mut findings = Vec::new();
        resolve(&mut node, &mut Fake, &mut findings);
        let Kind::Text(text) = node.kind else { panic!("not text") };
        (text.into(), node.hidden, findings.into_iter().map(|f| f.message).collect())
    }

    #[test]
    fn replaces() {
        assert_eq!(resolved("plain $x"), ("plain $x".into(), false, vec![]));
        assert_eq!(resolved("a.${HOST}:${PORT:-80}"), ("a.example.com:80".into(), true, vec![]));
        assert_eq!(resolved("${EMPTY:-x}${EMPTY}"), ("x".into(), true, vec![]));
        assert_eq!(resolved("$${HOST}"), ("${HOST}".into(), false, vec![]));
        assert_eq!(resolved("file:${HOST}/token"), ("s3cret".into(), true, vec![]));
        assert_eq!(resolved("${TRICK}").0, "file:/etc/passwd");
    }

    #[test]
    fn faults_name_the_variable() {
        assert_eq!(resolved("${NOPE}").2, ["the environment variable `NOPE` is not set"]);
        assert_eq!(resolved("${NOPE").2, ["a `${` without its `}`"]);
        assert_eq!(resolved("${a b}").2, ["`a b` is no name of an environment variable"]);
        assert!(resolved("file:nope").2[0].contains("no such file"));
        assert_eq!(resolved("${A}${B}").2.len(), 2);
    }
}
