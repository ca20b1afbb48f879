//! Authentication in words, for people who ask why.

use portcullis_config::model::{Authentication, KeyPlace, Method};

/// What is asked of a request, in a line.
pub(super) fn authentication(written: &Authentication) -> String {
    let method = written.method.as_ref().map(method);
    match (method, &written.anonymous) {
        (Some(method), None) => format!("{method}, else 401"),
        (Some(method), Some(name)) => format!("{method}; who shows nothing is `{name}`"),
        (None, Some(name)) => format!("everybody is `{name}`"),
        (None, None) => "nothing".to_owned(),
    }
}

fn method(written: &Method) -> String {
    let list = |methods: &[Method], word: &str| {
        let all: Vec<String> = methods.iter().map(method).collect();
        format!("({})", all.join(word))
    };
    match written {
        Method::ApiKey(key) => {
            let places: Vec<String> = key.from.iter().map(place).collect();
            format!("api_key in {}", places.join(", "))
        }
        Method::Basic(_) => "basic".to_owned(),
        Method::Mtls(_) => "mtls".to_owned(),
        Method::Jwt(jwt) => {
            let places: Vec<String> = jwt.from.iter().map(place).collect();
            format!("jwt of {} in {}", jwt.issuers.join(", "), places.join(", "))
        }
        Method::Introspection(written) => {
            let places: Vec<String> = written.token.from.iter().map(place).collect();
            format!("introspection by {} in {}", written.issuer, places.join(", "))
        }
        Method::Oidc(oidc) => format!("oidc of {}", oidc.issuer),
        Method::AnyOf(methods) => list(methods, " or "),
        Method::AllOf(methods) => list(methods, " and "),
    }
}

fn place(place: &KeyPlace) -> String {
    match place {
        KeyPlace::Header(name, None) => format!("header {name}"),
        KeyPlace::Header(name, Some(scheme)) => format!("header {name} ({scheme})"),
        KeyPlace::Query(name) => format!("query {name}"),
        KeyPlace::Cookie(name) => format!("cookie {name}"),
    }
}
