//! The same policies in words, for people who ask what applies and why.

use std::fmt::Write;

use portcullis_config::model::{CorsOrigins, Name, OriginPort, Origins};
use portcullis_wire::RequestHead;

use super::cors::only;
use super::{Origin, RunningCors, RunningCsrf, RunningSecurityHeaders};

impl RunningCors {
    /// What it lets pages do, in a line.
    #[must_use]
    pub fn rule(&self) -> String {
        let cors = &self.cors;
        let origins = match &cors.origins {
            CorsOrigins::Any => "any origin".to_owned(),
            CorsOrigins::Some(set) => origins(set),
        };
        let named = |names: &Option<Vec<Name>>, any: &str| {
            names.as_ref().map_or(any.to_owned(), |names| listed(names))
        };
        let methods = named(&cors.methods, "any that a route takes");
        let fields = named(&cors.headers, "any");
        let mut text = format!("pages of {origins}; methods: {methods}; fields: {fields}");
        if cors.credentials {
            text.push_str("; with credentials");
        }
        if cors.private_network {
            text.push_str("; from public networks too");
        }
        text
    }

    /// What it makes of a request.
    #[must_use]
    pub fn verdict(&self, request: &RequestHead) -> String {
        match only(&request.fields, b"origin") {
            Some(origin) => {
                let may = if self.allows(origin) { "may" } else { "may not" };
                format!("a page of {} {may} read the reply", String::from_utf8_lossy(origin))
            }
            None if request.fields.all(b"origin").next().is_some() => {
                "there is more than one `Origin`: no page may read the reply".to_owned()
            }
            None => "no page of another origin asks".to_owned(),
        }
    }
}

impl RunningCsrf {
    /// What it refuses, in a line.
    #[must_use]
    pub fn rule(&self) -> String {
        let others = match &self.csrf.origins {
            set if *set == Origins::default() => String::new(),
            set => format!(" but {}", origins(set)),
        };
        let unknown = if self.csrf.pass_unknown { "pass" } else { "do not" };
        format!(
            "refuses what pages of other sites{others} send; requests that do not say {unknown}"
        )
    }

    /// What it makes of a request, and whether that passes.
    #[must_use]
    pub fn verdict(&self, request: &RequestHead, secure: bool) -> (bool, &'static str) {
        match self.origin_of(request, secure) {
            Origin::Harmless => (true, "the method changes nothing"),
            Origin::Own => (true, "it comes from the same origin"),
            Origin::Allowed => (true, "it comes from an origin that may"),
            Origin::Unknown if self.csrf.pass_unknown => {
                (true, "it does not say where it comes from")
            }
            Origin::Unknown => (false, "it does not say where it comes from: 403"),
            Origin::Foreign => (false, "it comes from another site: 403"),
        }
    }
}

impl RunningSecurityHeaders {
    /// What it sets and takes out, in a line.
    #[must_use]
    pub fn rule(&self) -> String {
        let set = self.fields(super::Kept::default(), true).map(|field| field.name);
        let set: Vec<&str> = set.collect();
        let mut text = format!("sets {}", set.join(", "));
        if !self.headers.replace {
            text.push_str(", each unless the service does");
        }
        if !self.headers.remove.is_empty() {
            let _ = write!(text, "; takes out {}", listed(&self.headers.remove));
        }
        text
    }
}

fn listed(names: &[Name]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// Most origins that are told one by one.
const TOLD: usize = 5;

fn origins(set: &Origins) -> String {
    let mut exact: Vec<String> =
        set.exact.iter().map(|origin| String::from_utf8_lossy(origin).into_owned()).collect();
    exact.sort_unstable();
    let patterns = set.patterns.iter().map(|pattern| {
        let below = if pattern.host.starts_with('.') { "*" } else { "" };
        let port = match pattern.port {
            OriginPort::Default => String::new(),
            OriginPort::Is(port) => format!(":{port}"),
            OriginPort::Any => ":*".to_owned(),
        };
        format!("{}://{below}{}{port}", pattern.scheme, pattern.host)
    });
    let regexes = set.regexes.iter().map(|regex| {
        // The check has anchored what was written.
        let whole = regex.as_str();
        let inner = whole.strip_prefix("^(?:").and_then(|text| text.strip_suffix(")$"));
        format!("regex {}", inner.unwrap_or(whole))
    });
    let mut all: Vec<String> = exact.into_iter().chain(patterns).chain(regexes).collect();
    let more = all.len().saturating_sub(TOLD);
    all.truncate(TOLD);
    if more > 0 {
        all.push(format!("{more} more"));
    }
    all.join(", ")
}
