//! JSON into nodes, strictly by RFC 8259, from the spanned tree of `jsonc-parser` with all its
//! leniency switched off.

use jsonc_parser::ast::{ObjectProp, ObjectPropName, Value};
use jsonc_parser::common::Ranged;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};

use super::{DEEPEST, Finding, Kind, Map, Node, Span};

/// Reads one JSON text; `None` when it is not JSON.
pub(crate) fn read(text: &str, findings: &mut Vec<Finding>) -> Option<Node> {
    // The parser recurses, so the depth is looked at before.
    if let Some(at) = too_deep(text) {
        let message = format!("nested deeper than {DEEPEST} levels");
        findings.push(Finding::error(Span::new(at, at + 1), message));
        return None;
    }
    match parse_to_ast(text, &CollectOptions::default(), &strict()) {
        Ok(parsed) => match parsed.value {
            Some(value) => Some(node(value, findings)),
            None => {
                findings
                    .push(Finding::error(Span::default(), "this is not JSON: the file is empty"));
                None
            }
        },
        Err(error) => {
            let range = error.range();
            let span = Span::new(range.start, range.end.max(range.start + 1));
            findings.push(Finding::error(span, format!("this is not JSON: {}", error.kind())));
            None
        }
    }
}

fn strict() -> ParseOptions {
    ParseOptions {
        allow_comments: false,
        allow_loose_object_property_names: false,
        allow_trailing_commas: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    }
}

fn too_deep(text: &str) -> Option<usize> {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                if depth > DEEPEST {
                    return Some(at);
                }
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

fn node(value: Value<'_>, findings: &mut Vec<Finding>) -> Node {
    let range = value.range();
    let kind = match value {
        Value::NullKeyword(_) => Kind::Null,
        Value::BooleanLit(literal) => Kind::Bool(literal.value),
        Value::StringLit(literal) => Kind::Text(literal.value.into()),
        Value::NumberLit(literal) => match literal.value.parse::<i64>() {
            Ok(number) => Kind::Int(number),
            Err(_) => Kind::Float(literal.value.parse().unwrap_or(f64::NAN)),
        },
        Value::Array(array) => {
            Kind::List(array.elements.into_iter().map(|item| node(item, findings)).collect())
        }
        Value::Object(object) => {
            let mut map = Map::default();
            for ObjectProp { name, value, .. } in object.properties {
                let range = name.range();
                let key = match &name {
                    ObjectPropName::String(literal) => literal.value.as_ref(),
                    ObjectPropName::Word(literal) => literal.value,
                };
                let value = node(value, findings);
                map.push(key, Span::new(range.start, range.end), value);
            }
            Kind::Map(map.without_doubles(findings))
        }
    };
    Node::new(Span::new(range.start, range.end), kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(text: &str) -> Vec<String> {
        let mut findings = Vec::new();
        read(text, &mut findings);
        findings.into_iter().map(|finding| finding.message).collect()
    }

    #[test]
    fn reads_strict_json() {
        assert_eq!(messages(r#"{"a": [1, -2.5, "x\u00e9", true, null]}"#), Vec::<String>::new());
        for bad in [
            "",
            "{a: 1}",
            "[1,]",
            "[1 2]",
            "// x\n1",
            "{'a': 1}",
            "[0x1]",
            "[+1]",
            "1 2",
            "[\"\\x41\"]",
        ] {
            assert!(messages(bad).iter().any(|m| m.contains("not JSON")), "{bad}");
        }
    }

    #[test]
    fn doubles_and_depth() {
        assert!(messages(r#"{"a": 1, "a": 2}"#)[0].contains("`a` is here twice"));
        assert!(messages(&"[".repeat(100_000))[0].contains("nested deeper"));
        assert!(messages(&format!("[\"{}\"]", "[".repeat(1000))).is_empty());
    }
}
