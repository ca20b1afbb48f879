//! What an operator sees of Portcullis: the metrics page and the sink of the access log.
//!
//! Workers count into `core`'s metrics and gather log lines in `core`'s buffers; this crate only
//! reads the first and writes out the second, on threads that serve no request.

pub mod access_log;
pub mod exposition;
mod resources;

pub use access_log::AccessLogSink;
pub use exposition::{
    AuthzFact, EndpointScrape, Expires, HealthScrape, IssuerFact, JudgedFact, PolicyFact,
    PolicyFacts, ProcessFacts, Scrape, ServiceScrape, StoreFact, TokenScrape,
};
