//! Text with path parameters in it, written out for redirects and rewrites.

use portcullis_config::model::{Piece, Template};

use super::Params;

/// What a template may name besides the parameters of the path.
#[derive(Debug, Clone, Copy, Default)]
pub struct Around<'a> {
    /// The host that the client asked for, without port.
    pub host: &'a [u8],
    /// What follows `?`, as the client sent it.
    pub query: Option<&'a [u8]>,
}

/// Appends the template to `out` with the parameters of `path` and what is around it.
///
/// A parameter that the route does not have is empty. Where there is no query, a `?` or `&` right
/// before `{query}` goes as well. The result never begins with `//` unless the template's own text
/// does: a captured slash must not turn a path into the name of another host.
pub fn expand(
    template: &Template,
    params: &Params,
    path: &[u8],
    around: Around<'_>,
    out: &mut Vec<u8>,
) {
    let start = out.len();
    let query = around.query.unwrap_or_default();
    let mut after_empty_query = false;
    for (at, piece) in template.pieces.iter().enumerate() {
        match piece {
            Piece::Text(text) if after_empty_query => {
                out.extend_from_slice(text.strip_prefix('&').unwrap_or(text).as_bytes());
            }
            Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
            Piece::Param(name) => {
                out.extend_from_slice(params.value(name, path).unwrap_or_default());
            }
            Piece::Query if query.is_empty() => {
                // `?{query}&x=1` keeps its `?` and loses the `&`.
                let next = template.pieces.get(at + 1);
                let joins = matches!(next, Some(Piece::Text(text)) if text.starts_with('&'));
                if !joins && out.len() > start && matches!(out.last(), Some(b'?' | b'&')) {
                    out.pop();
                }
            }
            Piece::Query => out.extend_from_slice(query),
            Piece::Host => out.extend_from_slice(around.host),
        }
        after_empty_query = matches!(piece, Piece::Query) && query.is_empty();
    }
    let intended =
        matches!(template.pieces.first(), Some(Piece::Text(text)) if text.starts_with("//"));
    if !intended && out[start..].starts_with(b"//") {
        let slashes = out[start..].iter().take_while(|&&byte| byte == b'/').count();
        out.drain(start..start + slashes - 1);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::kit::{Asked, route, router};
    use super::*;

    /// `{name}` is a parameter and `{query}` the query.
    fn template(text: &str) -> Template {
        let mut pieces = Vec::new();
        for part in text.split_inclusive('}') {
            let (before, name) = part.split_once('{').unwrap_or((part, ""));
            if !before.is_empty() {
                pieces.push(Piece::Text(Arc::from(before)));
            }
            match name.strip_suffix('}') {
                Some("query") => pieces.push(Piece::Query),
                Some("host") => pieces.push(Piece::Host),
                Some(name) => pieces.push(Piece::Param(Arc::from(name))),
                None => {}
            }
        }
        Template { pieces }
    }

    fn expanded(pattern: &str, target: &str, to: &str) -> String {
        let router = router([route("r", &[pattern])]);
        let asked = Asked::new(&format!("GET h{target}"));
        let request = asked.request();
        let mut params = Params::default();
        router.find(&request, &mut params).unwrap();
        let mut out = b"kept ".to_vec();
        let around = Around { host: request.host, query: request.query };
        expand(&template(to), &params, request.path, around, &mut out);
        String::from_utf8(out).unwrap().strip_prefix("kept ").unwrap().to_owned()
    }

    #[test]
    fn parameters_and_query_are_filled_in() {
        let cases = [
            (
                "/u/{id}",
                "/u/7?a=1",
                "https://x.example/v/{id}?{query}",
                "https://x.example/v/7?a=1",
            ),
            ("/u/{id}", "/u/7", "https://x.example/v/{id}?{query}", "https://x.example/v/7"),
            ("/u/{id}", "/u/7", "https://{host}/u/{id}", "https://h/u/7"),
            ("/u/{id}", "/u/7?", "/v?{query}", "/v"),
            ("/u/{id}", "/u/7", "/v?{query}&x=1", "/v?x=1"),
            ("/u/{id}", "/u/7?a", "/v?{query}&x=1", "/v?a&x=1"),
            ("/u/{id}", "/u/7", "/v?x=1&{query}", "/v?x=1"),
            ("/u/{id}", "/u/7", "/v?{query}#part", "/v#part"),
            ("/u/{id}", "/u/%2Fx%20y", "/v/{id}", "/v/%2Fx%20y"),
            ("/{a}/{b}", "/1/2", "{b}{a}{none}", "21"),
            ("/s/{*rest}", "/s/a/b", "/{rest}", "/a/b"),
            ("/s/{*rest}", "/s", "/{rest}", "/"),
        ];
        for (pattern, target, to, expected) in cases {
            assert_eq!(expanded(pattern, target, to), expected, "{pattern} {target} {to}");
        }
    }

    /// An open redirect: `//evil.example` is another host to a browser.
    #[test]
    fn a_captured_slash_makes_no_host() {
        let cases = [
            ("/s/{*rest}", "/s//evil.example", "/{rest}", "/evil.example"),
            ("/s/{*rest}", "/s///evil.example", "{rest}", "/evil.example"),
            ("/s/{*rest}", "/s/x", "//cdn.example/{rest}", "//cdn.example/x"),
            ("/s/{*rest}", "/s//x", "/t/{rest}", "/t//x"),
        ];
        for (pattern, target, to, expected) in cases {
            assert_eq!(expanded(pattern, target, to), expected, "{pattern} {target} {to}");
        }
    }
}
