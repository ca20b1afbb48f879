//! Header compression (RFC 7541): a block that cannot be read ends the connection, since every later
//! block hangs on it.

use portcullis_testkit::h2::{Block, code};

use super::{Case, Expect, OK, case, connection, whole};

const COMPRESSION: Expect = connection(&[code::COMPRESSION_ERROR]);

pub(super) fn cases() -> Vec<Case> {
    [broken(), legal()].into_iter().flatten().collect()
}

fn broken() -> Vec<Case> {
    let bytes = |what, section, bytes: &[u8]| {
        case(what, section, COMPRESSION, whole(Block::get("/bad").raw(bytes)))
    };
    let block = |what, section, block| case(what, section, COMPRESSION, whole(block));
    vec![
        bytes("index 0", "RFC 7541 6.1", b"\x80").told_as(code::PROTOCOL_ERROR),
        block("an index beyond both tables", "RFC 7541 2.3.3", Block::get("/bad").indexed(62))
            .told_as(code::PROTOCOL_ERROR),
        block("an index far beyond", "RFC 7541 2.3.3", Block::get("/bad").indexed(1 << 20))
            .told_as(code::PROTOCOL_ERROR),
        bytes("a name's index beyond both tables", "RFC 7541 2.3.3", b"\x7f\x20\x01x")
            .told_as(code::PROTOCOL_ERROR),
        bytes("an integer without its end", "RFC 7541 5.1", b"\xff\x80\x80")
            .told_as(code::PROTOCOL_ERROR),
        bytes("an integer beyond all bounds", "RFC 7541 5.1", &[0xff; 12])
            .told_as(code::PROTOCOL_ERROR),
        bytes("an integer that overflows 64 bits", "RFC 7541 5.1", {
            b"\xff\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"
        })
        .told_as(code::PROTOCOL_ERROR),
        bytes("a string longer than its block", "RFC 7541 5.2", b"\0\x01x\x7fy")
            .told_as(code::PROTOCOL_ERROR),
        bytes("a block that ends within a name", "RFC 7541 5.2", b"\0\x05ab")
            .told_as(code::PROTOCOL_ERROR),
        bytes("a block that ends behind a name", "RFC 7541 5.2", b"\0\x01x")
            .told_as(code::PROTOCOL_ERROR),
        bytes("a block that ends behind its first byte", "RFC 7541 5.2", b"\0")
            .told_as(code::PROTOCOL_ERROR),
        // "a" is 00011 in Huffman code.
        bytes("a padding longer than 7 bits", "RFC 7541 5.2", b"\0\x01x\x82\x1f\xff")
            .told_as(code::PROTOCOL_ERROR),
        bytes("a padding of zeros", "RFC 7541 5.2", b"\0\x01x\x81\x18")
            .told_as(code::PROTOCOL_ERROR),
        bytes("an end of string in a string", "RFC 7541 5.2", b"\0\x01x\x84\xff\xff\xff\xff")
            .told_as(code::PROTOCOL_ERROR),
        block("a table size at the end", "RFC 7541 4.2", Block::get("/bad").table_size(0))
            .told_as(code::PROTOCOL_ERROR),
        block("a table larger than allowed", "RFC 7541 6.3", {
            Block::new().table_size(4097).raw(Block::get("/bad").encode())
        })
        .told_as(code::PROTOCOL_ERROR),
        block("a table far larger than allowed", "RFC 7541 6.3", {
            Block::new().table_size(1 << 27).raw(Block::get("/bad").encode())
        })
        .told_as(code::PROTOCOL_ERROR),
        block("an index of what has been evicted", "RFC 7541 4.3", {
            Block::get("/bad")
                .indexing("x", "y".repeat(4000))
                .indexing("z", "y".repeat(90))
                .indexed(63)
        })
        .told_as(code::PROTOCOL_ERROR),
        block("an index of what was never taken in", "RFC 7541 4.4", {
            Block::get("/bad").indexing("x", "y".repeat(4096)).indexed(62)
        })
        .told_as(code::PROTOCOL_ERROR),
    ]
}

fn legal() -> Vec<Case> {
    let ok = |what, section, block| case(what, section, OK, whole(block));
    let get = || Block::get("/");
    vec![
        ok("all of it in Huffman code", "RFC 7541 5.2", {
            Block::new()
                .huffman(":method", "GET")
                .huffman(":scheme", "http")
                .huffman(":path", "/")
                .huffman(":authority", "a.example")
        }),
        ok("all of it from the static table", "RFC 7541 6.1", {
            Block::new().indexed(2).indexed(6).indexed(4).field("host", "a.example")
        }),
        ok("a field from the dynamic table", "RFC 7541 6.1", get().indexing("x", "y").indexed(62)),
        ok("a field that is never indexed", "RFC 7541 6.2.3", get().never_indexed("x", "y")),
        ok("a table size at the beginning", "RFC 7541 6.3", {
            Block::new().table_size(0).raw(get().encode())
        }),
        ok("two table sizes at the beginning", "RFC 7541 4.2", {
            Block::new()
                .table_size(0)
                .table_size(4096)
                .raw(get().indexing("x", "y").indexed(62).encode())
        }),
        ok("an integer longer than it need be", "RFC 7541 5.1", {
            get().raw(*b"\0\x01x\x7f\x80\x80\x00").raw([b'y'; 127])
        }),
        ok("an entry larger than the table empties it", "RFC 7541 4.4", {
            get().indexing("x", "y".repeat(4096)).indexing("z", "1").indexed(62)
        }),
    ]
}
