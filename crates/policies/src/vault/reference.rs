//! What a reference to a secret names: `secret/data/shop/db?version=3#password`.

/// A secret of the engine "KV, version 2", and a field of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reference<'a> {
    /// The path of the API, with `?version=N` where one is asked for.
    pub(super) secret: &'a str,
    pub(super) field: &'a str,
}

impl<'a> Reference<'a> {
    /// Reads a reference, or says what is wrong with it.
    pub(super) fn parse(text: &'a str) -> Result<Reference<'a>, String> {
        let shape = || "expected `vault:MOUNT/data/PATH#FIELD`".to_owned();
        let (secret, field) = text.split_once('#').ok_or_else(shape)?;
        let (path, query) = match secret.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (secret, None),
        };
        let version = |query: &str| {
            let digits = query.strip_prefix("version=").unwrap_or_default();
            digits.parse::<u32>().is_ok_and(|version| version > 0)
                && digits.bytes().all(|byte| byte.is_ascii_digit())
        };
        if !query.is_none_or(version) {
            return Err("after `?` only `version=N` can stand, counted from 1".to_owned());
        }
        let legal = |segment: &str| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~+@:".contains(&byte);
            !segment.is_empty() && segment != "." && segment != ".." && segment.bytes().all(plain)
        };
        // A mount may have several segments; `data` comes after it and before the path.
        let is_data = |at| path.split('/').nth(at) == Some("data");
        let count = path.split('/').count();
        if field.is_empty() || !path.split('/').all(legal) || !(1..count - 1).any(is_data) {
            return Err(shape());
        }
        Ok(Reference { secret, field })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_has_a_path_and_a_field() {
        for (text, secret, field) in [
            ("secret/data/a#b", "secret/data/a", "b"),
            ("team/kv/data/a/b-c?version=12#x.y", "team/kv/data/a/b-c?version=12", "x.y"),
        ] {
            assert_eq!(Reference::parse(text), Ok(Reference { secret, field }));
        }
    }

    #[test]
    fn what_is_none_is_refused() {
        for text in [
            "",
            "secret/data/a",
            "secret/data/a#",
            "secret/a#b",
            "data/a#b",
            "secret/data#b",
            "secret/data/#b",
            "secret/data/../../sys/x#b",
            "secret//data/a#b",
            "/secret/data/a#b",
            "secret/data/a%2f#b",
            "secret/data/a b#c",
            "secret/data/a?version=0#b",
            "secret/data/a?version=+1#b",
            "secret/data/a?version=#b",
            "secret/data/a?list=true#b",
        ] {
            assert!(Reference::parse(text).is_err(), "{text}");
        }
    }
}
