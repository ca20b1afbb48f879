//! What must hold for any input whatever: the bodies of the fuzz targets.
//!
//! `fuzz/` gives them what libFuzzer finds, `tests/seeds.rs` gives them the seeds and mutations of
//! these under plain `cargo test`. A check panics where the promise it looks at is broken.

mod chunked;
mod configuration;
mod cuts;
mod heads;
mod path;
mod router;

pub use chunked::chunked;
pub use configuration::configuration;
pub use heads::{request_head, response_head};
pub use path::path;
pub use router::router;

/// A check of one input.
pub type Check = fn(&[u8]);

/// Every check, under the name of its fuzz target and its folder of seeds.
pub const CHECKS: [(&str, Check); 6] = [
    ("chunked", chunked),
    ("configuration", configuration),
    ("path", path),
    ("request_head", request_head),
    ("response_head", response_head),
    ("router", router),
];
