//! TOML into nodes, from the spanned tables of the `toml` crate.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Finding, Kind, Map, Node, Span, duplicate_key};

/// Reads one TOML document; `None` when it is not TOML.
pub(crate) fn read(text: &str, findings: &mut Vec<Finding>) -> Option<Node> {
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        let span = span(&table);
        return Some(Node::new(span, map(table.into_inner(), findings)));
    }
    for error in errors {
        let at = error.span().unwrap_or_default();
        let at = Span::new(at.start, at.end.max(at.start + 1));
        let key = text.get(at.start as usize..at.end as usize).unwrap_or_default();
        let doubled = error.message().contains("duplicate key");
        findings.push(match doubled.then(|| first_key(table.get_ref(), key, text, at)).flatten() {
            Some(first) => duplicate_key(key, at, first),
            None => Finding::error(at, format!("this is not TOML: {}", error.message())),
        });
    }
    None
}

/// Where a key that the parser refused as a double was first written: it keeps the first.
fn first_key(table: &DeTable<'_>, key: &str, text: &str, second: Span) -> Option<Span> {
    table.iter().find_map(|(name, value)| {
        let at = span(name);
        if at.start < second.start && text.get(name.span()) == Some(key) {
            return Some(at);
        }
        match value.get_ref() {
            DeValue::Table(inner) => first_key(inner, key, text, second),
            _ => None,
        }
    })
}

fn span<T>(value: &Spanned<T>) -> Span {
    let range = value.span();
    Span::new(range.start, range.end)
}

fn map(table: DeTable<'_>, findings: &mut Vec<Finding>) -> Kind {
    let mut map = Map::default();
    for (key, value) in table {
        let key_span = span(&key);
        let value = node(value, findings);
        map.push(key.get_ref(), key_span, value);
    }
    // The parser's order is the alphabet's; faults are to come in the file's.
    map.entries.sort_by_key(|entry| entry.key_span.start);
    Kind::Map(map)
}

fn node(value: Spanned<DeValue<'_>>, findings: &mut Vec<Finding>) -> Node {
    let at = span(&value);
    let kind = match value.into_inner() {
        DeValue::String(text) => Kind::Text(text.into()),
        DeValue::Boolean(value) => Kind::Bool(value),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Kind::Int(number),
            Err(_) => {
                findings.push(Finding::error(at, "this number is too large"));
                Kind::Null
            }
        },
        DeValue::Float(number) => Kind::Float(number.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Datetime(_) => {
            findings.push(
                Finding::error(at, "a date means nothing here").help("quote it if it is a string"),
            );
            Kind::Null
        }
        DeValue::Array(items) => {
            Kind::List(items.into_iter().map(|item| node(item, findings)).collect())
        }
        DeValue::Table(table) => map(table, findings),
    };
    Node::new(at, kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_toml_in_file_order() {
        let mut findings = Vec::new();
        let node = read("z = 1\n[a]\nx = [\"s\", 1.5, true]\n", &mut findings).unwrap();
        assert_eq!(findings, []);
        let Kind::Map(map) = node.kind else { panic!("not a map") };
        let keys: Vec<_> = map.entries.iter().map(|entry| &*entry.key).collect();
        assert_eq!(keys, ["z", "a"]);
        assert_eq!(map.entries[0].key_span, Span::new(0, 1));
    }

    #[test]
    fn says_what_is_wrong() {
        let mut findings = Vec::new();
        assert!(read("[a]\nx = 1\nx = 2\n", &mut findings).is_none());
        assert_eq!(findings[0].message, "the key `x` is here twice");
        assert_eq!(findings[0].also.as_ref().unwrap().0, Span::new(4, 5));
        findings.clear();
        assert!(read("a = \n", &mut findings).is_none());
        assert!(findings[0].message.contains("not TOML"));
        findings.clear();
        read("a = 1979-05-27\n", &mut findings);
        assert!(findings[0].message.contains("date"));
        findings.clear();
        assert!(read(&format!("a = {}", "[".repeat(100_000)), &mut findings).is_none());
    }
}
