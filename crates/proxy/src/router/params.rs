//! What the winning route captured from the path, in buffers that are used again.

/// The path parameters of the route that was found, and the working memory of a lookup. Keep one
/// for each connection or worker: it allocates until it is warm and then no more.
#[derive(Debug, Default)]
pub struct Params {
    /// Names of the parameters, one after the other.
    names: Vec<u8>,
    list: Vec<Param>,
    pub(super) scratch: Scratch,
}

/// Working memory of a lookup.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// The host in lower case.
    pub(super) host: Vec<u8>,
    /// What the way to the current place captured.
    pub(super) captures: Vec<Span>,
    /// What the way to the best route so far captured.
    pub(super) best: Vec<Span>,
    /// For decoding.
    pub(super) text: Vec<u8>,
    pub(super) seen: Seen,
}

/// Working memory of a look into an index of routes.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// For decoding.
    pub(super) text: Vec<u8>,
    /// Addresses of the lists that were looked at.
    pub(super) lists: Vec<usize>,
}

/// Ranges of one parameter: its name in [`Params::names`], its value in the path.
#[derive(Debug, Clone, Copy)]
struct Param {
    name: Span,
    value: Span,
}

/// A range of bytes in a path or a buffer; both are far below 4 GiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) end: u32,
}

impl Span {
    pub(super) fn new(start: usize, end: usize) -> Span {
        Span { start: start as u32, end: end as u32 }
    }

    pub(super) fn of(self, bytes: &[u8]) -> Option<&[u8]> {
        bytes.get(self.start as usize..self.end as usize)
    }
}

impl Params {
    /// The value of the parameter called `name` in `path`, which must be the path that was looked
    /// up. Still percent-encoded.
    #[must_use]
    pub fn value<'p>(&self, name: &str, path: &'p [u8]) -> Option<&'p [u8]> {
        let named = |param: &&Param| param.name.of(&self.names) == Some(name.as_bytes());
        self.list.iter().find(named)?.value.of(path)
    }

    /// Names and values in the order of the path.
    pub fn iter<'a>(&'a self, path: &'a [u8]) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        self.list
            .iter()
            .filter_map(|param| Some((param.name.of(&self.names)?, param.value.of(path)?)))
    }

    /// Forgets every parameter and keeps the memory.
    pub fn clear(&mut self) {
        self.names.clear();
        self.list.clear();
    }

    /// Adds a parameter for each of the names, which have `/` between them.
    pub(super) fn push_all(&mut self, names: &str, values: impl IntoIterator<Item = Span>) {
        let mut start = self.names.len();
        self.names.extend_from_slice(names.as_bytes());
        for (name, value) in names.split('/').zip(values) {
            self.list.push(Param { name: Span::new(start, start + name.len()), value });
            start += name.len() + 1;
        }
    }
}
