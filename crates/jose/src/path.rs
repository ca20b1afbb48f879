//! Where in the claims something is: `realm_access.roles`.
//!
//! Names are joined by dots; a dot within a name is written `\.`, a backslash `\\`. A path that
//! starts with `/` is a JSON pointer (RFC 6901), which suits names that are addresses:
//! `/https:~1~1example.com~1roles`. A whole number picks from a list, counted from 0.

use std::fmt;

use crate::json::Value;

/// Steps of a path, no claims are nested more deeply than this.
const MOST_STEPS: usize = 32;

/// A path to a claim.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClaimPath {
    /// As it was written.
    text: Box<str>,
    /// Its names, escapes resolved. Never empty.
    steps: Box<[Box<str>]>,
}

/// Why a text is no path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// It, or a name in it, is empty.
    #[error("a name in it is empty")]
    Empty,
    /// An escape that there is not.
    #[error(
        "`\\` may only stand before `.` and `\\`, and `~` before `0` and `1` in a JSON pointer"
    )]
    Escape,
    /// An address whose dots would be taken for steps.
    #[error(
        "the dots of an address would part it: write `\\.` for each, or a JSON pointer \
         like `/https:~1~1example.com~1roles`"
    )]
    Address,
    /// It has too many steps.
    #[error("it has more than {MOST_STEPS} steps")]
    TooDeep,
}

impl ClaimPath {
    /// Reads a path.
    ///
    /// # Errors
    /// When a name is empty, an escape is wrong, or it looks like an address without escapes.
    pub fn parse(text: &str) -> Result<ClaimPath, PathError> {
        let steps = match text.strip_prefix('/') {
            Some(pointer) => pointer.split('/').map(unescape).collect::<Result<Vec<_>, _>>()?,
            None => dotted(text)?,
        };
        if steps.iter().any(|step| step.is_empty()) {
            return Err(PathError::Empty);
        }
        if steps.len() > MOST_STEPS {
            return Err(PathError::TooDeep);
        }
        if steps.len() > 1 && !text.starts_with('/') && text.contains("://") {
            return Err(PathError::Address);
        }
        Ok(ClaimPath { text: text.into(), steps: steps.into() })
    }

    /// A path of one name, whatever is in it.
    #[must_use]
    pub fn name(name: &str) -> ClaimPath {
        ClaimPath { text: name.into(), steps: Box::new([name.into()]) }
    }

    /// The path as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The value at the path below another one.
    #[must_use]
    pub fn find<'v>(&self, value: Value<'v>) -> Option<Value<'v>> {
        self.steps.iter().try_fold(value, |value, step| match value {
            Value::Object(object) => object.get(step),
            Value::List(list) => list.get(index(step)?),
            _ => None,
        })
    }
}

impl fmt::Display for ClaimPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A place in a list: digits without a leading zero (RFC 6901 section 4).
fn index(step: &str) -> Option<usize> {
    let plain = step.bytes().all(|byte| byte.is_ascii_digit());
    let leading = step.len() > 1 && step.starts_with('0');
    if plain && !leading { step.parse().ok() } else { None }
}

fn dotted(text: &str) -> Result<Vec<Box<str>>, PathError> {
    let mut steps = Vec::new();
    let mut name = String::new();
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match char {
            '.' => steps.push(std::mem::take(&mut name).into_boxed_str()),
            '\\' => match chars.next() {
                Some(escaped @ ('.' | '\\')) => name.push(escaped),
                _ => return Err(PathError::Escape),
            },
            _ => name.push(char),
        }
    }
    steps.push(name.into_boxed_str());
    Ok(steps)
}

/// A step of a JSON pointer.
fn unescape(step: &str) -> Result<Box<str>, PathError> {
    let mut name = String::new();
    let mut chars = step.chars();
    while let Some(char) = chars.next() {
        name.push(match char {
            '~' => match chars.next() {
                Some('0') => '~',
                Some('1') => '/',
                _ => return Err(PathError::Escape),
            },
            _ => char,
        });
    }
    Ok(name.into_boxed_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::Claims;

    fn find(json: &str, path: &str) -> Option<String> {
        let claims = Claims::from_json(json.as_bytes()).unwrap();
        let value = claims.at(&ClaimPath::parse(path).unwrap())?;
        Some(serde_json::to_string(&value).unwrap())
    }

    #[test]
    fn a_path_finds_what_is_nested() {
        let json = r#"{"realm_access":{"roles":["a","b"]},"a.b":{"c\\d":1},"https://e.com/r":"x"}"#;
        let found = |path| find(json, path);
        assert_eq!(found("realm_access.roles").as_deref(), Some(r#"["a","b"]"#));
        assert_eq!(found("realm_access.roles.1").as_deref(), Some(r#""b""#));
        assert_eq!(found("/realm_access/roles/0").as_deref(), Some(r#""a""#));
        assert_eq!(found(r"a\.b.c\\d").as_deref(), Some("1"));
        assert_eq!(found("/https:~1~1e.com~1r").as_deref(), Some(r#""x""#));
        assert_eq!(found(r"https://e\.com/r").as_deref(), Some(r#""x""#));
        for path in [
            "realm_access.role",
            "realm_access.roles.2",
            "realm_access.roles.01",
            "a",
            "a.b",
            "realm_access.roles.-1",
            "realm_access.roles.99999999999999999999",
        ] {
            assert_eq!(found(path), None, "{path}");
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        let error = |text: &str| ClaimPath::parse(text).unwrap_err();
        for text in ["", ".", "a.", ".a", "a..b", "/", "//a", "/a/"] {
            assert_eq!(error(text), PathError::Empty, "{text}");
        }
        for text in ["a\\", "a\\b", "/a~", "/~2"] {
            assert_eq!(error(text), PathError::Escape, "{text}");
        }
        assert_eq!(error("https://example.com/roles"), PathError::Address);
        assert_eq!(error(&vec!["a"; 33].join(".")), PathError::TooDeep);
        assert!(ClaimPath::parse("https://localhost/roles").is_ok());
    }

    #[test]
    fn a_name_is_taken_as_it_is() {
        let claims = Claims::from_json(br#"{"a.b":1}"#).unwrap();
        assert!(claims.at(&ClaimPath::name("a.b")).is_some());
    }
}
