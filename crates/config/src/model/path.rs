//! Path patterns and the templates that use what they captured.

use std::sync::Arc;

use regex::bytes::Regex;

/// A path that a route takes, matched against the normalised path.
#[derive(Debug, Clone)]
pub enum PathPattern {
    /// Segments after the leading `/`. The last may be [`Segment::Rest`]. A trailing slash is an
    /// empty last [`Segment::Literal`]; the root alone is one empty literal.
    Segments(Arc<[Segment]>),
    /// The path itself or anything below it; segments of the prefix, no trailing slash. Empty is
    /// every path.
    Prefix(Arc<[Segment]>),
    /// The whole path matches. Named groups are parameters.
    Regex(Regex),
}

/// One segment of a pattern.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Segment {
    /// This text, in normalised form.
    Literal(Arc<str>),
    /// One segment, not empty, captured under this name.
    Param(Arc<str>),
    /// All that is left, possibly nothing, captured under this name. `/a/{*rest}` takes `/a`,
    /// `/a/` and `/a/b/c`.
    Rest(Arc<str>),
}

/// Text with parameters in it, for redirects and rewrites.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// In order.
    pub pieces: Vec<Piece>,
}

/// A piece of a [`Template`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Text as it is.
    Text(Arc<str>),
    /// A parameter of the path, in its normalised, still percent-encoded form.
    Param(Arc<str>),
    /// The query as the client sent it, without `?`.
    Query,
    /// The host that the client asked for, without port.
    Host,
}
