//! Policies for the sake of browsers. They are asked before anybody knows who calls: the answer to
//! a preflight needs no credentials, and a refusal must be readable for pages that may read at all.

mod cors;
mod csrf;
mod describe;
mod origins;
mod security_headers;

use std::sync::Arc;

use portcullis_config::model::Layered;

pub use cors::{Preflight, RunningCors};
pub use csrf::{Origin, RunningCsrf};
pub use security_headers::{Kept, RunningSecurityHeaders};

/// The policy that holds: that of the narrowest scope which says anything, the narrowest first.
#[must_use]
pub fn narrowest<T>(layers: [&Layered<T>; 3]) -> Option<&Arc<T>> {
    match layers.into_iter().find(|layer| !matches!(layer, Layered::Unsaid)) {
        Some(Layered::On(policy)) => Some(policy),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_narrowest_that_says_anything_holds() {
        let on = |name: &'static str| Layered::On(Arc::new(name));
        let held = |layers: [&Layered<&'static str>; 3]| narrowest(layers).map(|held| **held);
        let (route, global) = (on("route"), on("global"));
        let (unsaid, off) = (Layered::Unsaid, Layered::Off);
        assert_eq!(held([&route, &unsaid, &global]), Some("route"));
        assert_eq!(held([&unsaid, &unsaid, &global]), Some("global"));
        assert_eq!(held([&unsaid, &off, &global]), None);
        assert_eq!(held([&unsaid, &unsaid, &unsaid]), None);
    }
}
