//! The router: it finds what its explanation says has won, 405 names just the methods that would
//! do, and taking a route out and putting it back changes nothing.
//!
//! An input is text. A line that begins with `route` is a route: `host:` (`*.` in front is a
//! wildcard), a path, `prefix:/`, `regex:` (a number), `method:`, `priority:`, `header:name=test`,
//! `query:` and `cookie:` (the test is a value, `?` or `!`), `client:`, `on:` (a
//! listener). Every other line is a request: `METHOD host/path?query`, then `name=value` fields,
//! `from:` an address and `on:` a listener (`web` unless said). Words that make no sense are
//! skipped.

mod script;

use std::sync::Arc;

use portcullis_config::model::Route;
use portcullis_proxy::router::{Miss, Params, Request, Router, Verdict};

use script::{Asked, Script};

/// Checks the routes and requests of `input`.
pub fn router(input: &[u8]) {
    let script = Script::read(&String::from_utf8_lossy(input));
    let mut router = Router::default();
    for route in &script.routes {
        router.insert(Arc::clone(route), Arc::clone(&route.name));
    }
    assert_eq!(router.len(), script.routes.len());
    for asked in &script.requests {
        check(&router, &script.routes, asked);
    }
    for route in &script.routes {
        assert!(router.remove(route), "a route cannot be taken out");
    }
    assert!(router.is_empty());
}

fn check(router: &Router<Arc<str>>, routes: &[Arc<Route>], asked: &Asked) {
    let mut params = Params::default();
    let request = asked.request();
    let found = router.find(&request, &mut params).cloned();
    let explained = router.explain(&request);
    let won: Vec<_> = explained
        .iter()
        .filter(|candidate| matches!(candidate.verdict, Verdict::Won))
        .map(|candidate| candidate.value)
        .collect();
    assert_eq!(won, found.iter().collect::<Vec<_>>(), "find and explain differ");

    match &found {
        Ok(name) => without(router, routes, &request, name),
        Err(miss) => allowed(router, routes, &request, miss),
    }
}

/// Without its winner the request goes elsewhere; with it again, all is as before.
fn without(router: &Router<Arc<str>>, routes: &[Arc<Route>], request: &Request<'_>, name: &str) {
    let mut params = Params::default();
    let Some(route) = routes.iter().find(|route| *route.name == *name) else {
        unreachable!("a route that nobody put in")
    };
    let mut other = router.clone();
    assert!(other.remove(route), "the winner cannot be taken out");
    let next = other.find(request, &mut params).cloned();
    assert!(next.as_deref() != Ok(name), "found although it was taken out");
    other.insert(Arc::clone(route), Arc::clone(&route.name));
    let back = other.find(request, &mut params).map(|name| &**name);
    assert_eq!(back, Ok(name), "not found although it was put back");
    let still = router.find(request, &mut params).map(|name| &**name);
    assert_eq!(still, Ok(name), "a copy's change shows in the original");
}

/// 405 names every method with which the request would have been taken; 404 means there is none.
fn allowed(router: &Router<Arc<str>>, routes: &[Arc<Route>], request: &Request<'_>, miss: &Miss) {
    let named = match miss {
        Miss::NotFound => &[][..],
        Miss::MethodNotAllowed(methods) => methods,
    };
    assert!(*miss == Miss::NotFound || !named.is_empty(), "405 that allows nothing");
    let mut params = Params::default();
    for method in routes.iter().flat_map(|route| &route.matches.methods) {
        let other = Request { method: method.as_bytes(), ..*request };
        let taken = router.find(&other, &mut params).is_ok();
        assert_eq!(taken, named.contains(method), "method {method}");
    }
}
