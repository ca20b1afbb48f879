//! Header blocks as a client or an origin writes them: each field in the way the test asks for, and
//! without a look at whether it is legal.

use super::hpack::{huffman, integer};
use super::{Frame, flag};

/// A header block in the making.
#[derive(Debug, Clone, Default)]
pub struct Block {
    items: Vec<Item>,
}

#[derive(Debug, Clone)]
enum Item {
    Field { name: Vec<u8>, value: Vec<u8>, how: How },
    Raw(Vec<u8>),
}

/// How a field is written (RFC 7541 section 6.2).
#[derive(Debug, Clone, Copy)]
enum How {
    Plain,
    Indexing,
    Never,
    Huffman,
}

impl Block {
    /// An empty one.
    #[must_use]
    pub fn new() -> Block {
        Block::default()
    }

    /// The pseudo-fields of a request for a path of `a.example`.
    #[must_use]
    pub fn request(method: &str, path: &str) -> Block {
        Block::new()
            .field(":method", method)
            .field(":scheme", "http")
            .field(":authority", "a.example")
            .field(":path", path)
    }

    /// Those of a `GET`.
    #[must_use]
    pub fn get(path: &str) -> Block {
        Block::request("GET", path)
    }

    /// Those of a `POST`.
    #[must_use]
    pub fn post(path: &str) -> Block {
        Block::request("POST", path)
    }

    /// The pseudo-field of a reply.
    #[must_use]
    pub fn status(status: u16) -> Block {
        Block::new().field(":status", status.to_string())
    }

    /// Adds a field that no table takes up.
    #[must_use]
    pub fn field(self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Block {
        self.with(name.as_ref(), value.as_ref(), How::Plain)
    }

    /// Adds a field that goes into the dynamic table.
    #[must_use]
    pub fn indexing(self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Block {
        self.with(name.as_ref(), value.as_ref(), How::Indexing)
    }

    /// Adds a field that must never go into a table.
    #[must_use]
    pub fn never_indexed(self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Block {
        self.with(name.as_ref(), value.as_ref(), How::Never)
    }

    /// Adds a field whose strings are in Huffman code.
    #[must_use]
    pub fn huffman(self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Block {
        self.with(name.as_ref(), value.as_ref(), How::Huffman)
    }

    /// Adds a field of a table by its index.
    #[must_use]
    pub fn indexed(self, index: usize) -> Block {
        let mut bytes = Vec::new();
        integer::write(&mut bytes, 0x80, 7, index);
        self.raw(bytes)
    }

    /// Adds a change of the dynamic table's size.
    #[must_use]
    pub fn table_size(self, size: usize) -> Block {
        let mut bytes = Vec::new();
        integer::write(&mut bytes, 0x20, 5, size);
        self.raw(bytes)
    }

    /// Adds bytes as they are.
    #[must_use]
    pub fn raw(mut self, bytes: impl Into<Vec<u8>>) -> Block {
        self.items.push(Item::Raw(bytes.into()));
        self
    }

    /// Takes away every field of this name.
    #[must_use]
    pub fn without(mut self, unwanted: &str) -> Block {
        let is =
            |item: &Item| matches!(item, Item::Field { name, .. } if name == unwanted.as_bytes());
        self.items.retain(|item| !is(item));
        self
    }

    /// Gives the field of this name another value, in its place.
    ///
    /// # Panics
    /// There is none.
    #[must_use]
    pub fn set(mut self, wanted: &str, other: impl AsRef<[u8]>) -> Block {
        let found = self.items.iter_mut().find_map(|item| match item {
            Item::Field { name, value, .. } if name == wanted.as_bytes() => Some(value),
            _ => None,
        });
        *found.expect("a field of this name") = other.as_ref().to_vec();
        self
    }

    fn with(mut self, name: &[u8], value: &[u8], how: How) -> Block {
        self.items.push(Item::Field { name: name.to_vec(), value: value.to_vec(), how });
        self
    }

    /// As it goes over the wire.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for item in &self.items {
            match item {
                Item::Raw(raw) => bytes.extend_from_slice(raw),
                Item::Field { name, value, how } => {
                    bytes.push(match how {
                        How::Plain | How::Huffman => 0,
                        How::Indexing => 0x40,
                        How::Never => 0x10,
                    });
                    for string in [name, value] {
                        write_string(&mut bytes, string, *how);
                    }
                }
            }
        }
        bytes
    }

    /// `HEADERS` and as many `CONTINUATION` frames as it takes with so many bytes in each.
    #[must_use]
    pub fn split(&self, stream: u32, size: usize) -> Vec<Frame> {
        let bytes = self.encode();
        let mut fragments = bytes.chunks(size.max(1));
        let first = fragments.next().unwrap_or_default().to_vec();
        let mut frames = vec![Frame::headers(stream, &Block::new().raw(first))];
        frames.extend(fragments.map(|fragment| Frame::continuation(stream, fragment)));
        let last = frames.len() - 1;
        for frame in &mut frames[..last] {
            frame.flags &= !flag::END_HEADERS;
        }
        frames
    }
}

fn write_string(bytes: &mut Vec<u8>, string: &[u8], how: How) {
    if matches!(how, How::Huffman) {
        let coded = huffman::encode(string);
        integer::write(bytes, 0x80, 7, coded.len());
        bytes.extend_from_slice(&coded);
    } else {
        integer::write(bytes, 0, 7, string.len());
        bytes.extend_from_slice(string);
    }
}
