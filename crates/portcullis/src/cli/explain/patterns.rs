//! Patterns of hosts and paths as they are written in a configuration.

use portcullis_config::model::{HostPattern, PathPattern, Segment};
use portcullis_policies::Scope;

/// A host pattern; `None` is any host.
pub(super) fn host(pattern: Option<&HostPattern>) -> String {
    match pattern {
        None => "any".to_owned(),
        Some(HostPattern::Exact(name)) => name.to_string(),
        Some(HostPattern::Suffix(suffix)) => format!("*{suffix}"),
    }
}

/// A path pattern.
pub(super) fn path(pattern: &PathPattern) -> String {
    match pattern {
        PathPattern::Segments(segments) => join(segments),
        PathPattern::Prefix(segments) if segments.is_empty() => "any".to_owned(),
        PathPattern::Prefix(segments) => format!("prefix {}", join(segments)),
        PathPattern::Regex(regex) => {
            // The check has anchored what was written.
            let whole = regex.as_str();
            let inner = whole.strip_prefix("^(?:").and_then(|text| text.strip_suffix(")$"));
            format!("regex {}", inner.unwrap_or(whole))
        }
    }
}

fn join(segments: &[Segment]) -> String {
    let segment = |segment: &Segment| match segment {
        Segment::Literal(text) => format!("/{text}"),
        Segment::Param(name) => format!("/{{{name}}}"),
        Segment::Rest(name) => format!("/{{*{name}}}"),
    };
    segments.iter().map(segment).collect()
}

/// Where the policies of a scope are written, as keys from the top.
pub(super) fn policies_of(scope: &Scope) -> Vec<&str> {
    match scope {
        Scope::Global => vec!["policies"],
        Scope::Service(name) => vec!["services", name, "policies"],
        Scope::Route(name) => vec!["routes", name, "policies"],
        Scope::Group(name) => vec!["groups", name, "policies"],
        Scope::Plan(name) => vec!["plans", name, "policies"],
        Scope::Consumer(name) => vec!["consumers", name, "policies"],
    }
}

#[cfg(test)]
mod tests {
    use portcullis_config::{Format, Loader};

    use super::*;

    #[test]
    fn patterns_read_as_they_were_written() {
        let shown = |written: &str| {
            let yaml = format!(
                "listeners: {{ web: {{ address: \"127.0.0.1:0\" }} }}\n\
                 routes: {{ r: {{ match: {{ {written} }}, reply: {{ status: 204 }} }} }}"
            );
            let config = Loader::from_text("t.yaml", yaml, Format::Yaml).load().unwrap().config;
            let matches = &config.routes["r"].matches;
            format!("{} {}", host(matches.hosts.first()), path(&matches.paths[0]))
        };
        assert_eq!(shown("methods: [GET]"), "any any");
        assert_eq!(shown("host: a.example, path: /"), "a.example /");
        assert_eq!(shown("host: \"*.example\", path: \"/a/{b}/{*c}\""), "*.example /a/{b}/{*c}");
        assert_eq!(shown("path: { prefix: /a/b }"), "any prefix /a/b");
        assert_eq!(shown("path: { prefix: / }"), "any any");
        assert_eq!(shown("path: { regex: \"/v[0-9]+\" }"), "any regex /v[0-9]+");
    }
}
