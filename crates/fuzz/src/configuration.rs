//! Configuration texts: any text gives a configuration or a report in bounded time, and a loader
//! that reads the same text again finds no change.

use portcullis_config::{Format, Loader};
use portcullis_proxy::router::Router;

/// Texts beyond this are cut off: what grows too fast with the size shows well below.
const LONGEST: usize = 16 * 1024;

/// Checks `input` as YAML, JSON and TOML.
pub fn configuration(input: &[u8]) {
    let text = String::from_utf8_lossy(&input[..input.len().min(LONGEST)]);
    for format in [Format::Yaml, Format::Json, Format::Toml] {
        let environment = |name: &str| (name == "SET").then(|| "8000".to_owned());
        let mut loader = Loader::from_text("text", &*text, format).environment(environment);
        match loader.load() {
            Err(report) => {
                assert!(report.errors() > 0, "refused without an error");
                assert!(!report.render(false).is_empty(), "refused without a word");
            }
            Ok(loaded) => {
                let mut router = Router::default();
                for (name, route) in &loaded.config.routes {
                    router.insert(route.clone(), name.clone());
                }
                assert_eq!(router.len(), loaded.config.routes.len());
                let again = loader.load();
                let unchanged = again.is_ok_and(|again| again.changes.is_empty());
                assert!(unchanged, "the same text gives something else");
            }
        }
    }
}
