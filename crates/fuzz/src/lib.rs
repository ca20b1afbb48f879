//! What must hold for any input whatever: the bodies of the fuzz targets.
//!
//! `fuzz/` gives them what libFuzzer finds, `tests/seeds.rs` gives them the seeds and mutations of
//! these under plain `cargo test`. A check panics where the promise it looks at is broken.

mod chunked;
mod configuration;
mod cuts;
mod expression;
mod heads;
mod key_set;
mod path;
mod router;
mod token;

pub use chunked::chunked;
pub use configuration::configuration;
pub use expression::expression;
pub use heads::{request_head, response_head};
pub use key_set::key_set;
pub use path::path;
pub use router::router;
pub use token::token;

/// A check of one input.
pub type Check = fn(&[u8]);

/// Every check, under the name of its fuzz target and its folder of seeds.
pub const CHECKS: [(&str, Check); 9] = [
    ("chunked", chunked),
    ("configuration", configuration),
    ("expression", expression),
    ("key_set", key_set),
    ("path", path),
    ("request_head", request_head),
    ("response_head", response_head),
    ("router", router),
    ("token", token),
];
