//! Small damage to seeds, the same in every run.

/// What breaks parsers, put in anywhere.
const PIECES: &[&[u8]] = &[
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b"\t",
    b":",
    b";",
    b",",
    b"=",
    b"\"",
    b"\\",
    b"%",
    b"%2F",
    b"%2e",
    b"..",
    b"//",
    b"/",
    b"?",
    b"#",
    b"*",
    b"{",
    b"}",
    b"[",
    b"]",
    b"- ",
    b": ",
    b"\r\n ",
    b"\r\n\r\n",
    b"0\r\n\r\n",
    b"HTTP/1.1",
    b"Host: a\r\n",
    b"Content-Length: 3\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"\xff",
    b"\xc3\xa9",
    b"18446744073709551616",
    b"${SET}",
    b"file:x",
    b"&a ",
    b"*a",
    b"\nroute ",
    b"\nGET a.b/a/b ",
    b"method:PUT ",
    b"priority:1 ",
];

/// Makes inputs out of seeds (xorshift).
pub(crate) struct Mutator<'a> {
    seeds: &'a [Vec<u8>],
    state: u64,
}

impl<'a> Mutator<'a> {
    pub(crate) fn new(seeds: &'a [Vec<u8>]) -> Mutator<'a> {
        Mutator { seeds, state: 0x9e37_79b9_7f4a_7c15 }
    }

    /// A seed with one to four places changed.
    pub(crate) fn next_input(&mut self) -> Vec<u8> {
        let mut input = self.seed().to_vec();
        for _ in 0..=self.below(3) {
            self.change(&mut input);
        }
        input
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let from = self.below(input.len());
        let to = input.len().min(from + self.below(8));
        match self.below(7) {
            0 => drop(input.splice(from..from, self.piece())),
            1 => drop(input.splice(from..to, self.piece())),
            2 => drop(input.drain(from..to)),
            3 => input.truncate(from),
            4 => {
                let byte = self.below(255) as u8;
                input.splice(from..to.min(from + 1), [byte]);
            }
            // A part comes twice.
            5 => {
                let to = input.len().min(from + self.below(60));
                let part = input[from..to].to_vec();
                let at = self.below(input.len());
                input.splice(at..at, part);
            }
            // The rest is another seed's.
            _ => {
                let other = self.seed();
                let at = self.below(other.len());
                input.truncate(from);
                input.extend_from_slice(&other[at..]);
            }
        }
    }

    fn seed(&mut self) -> &'a [u8] {
        &self.seeds[self.below(self.seeds.len() - 1)]
    }

    fn piece(&mut self) -> Vec<u8> {
        PIECES[self.below(PIECES.len() - 1)].to_vec()
    }

    /// A number up to and including `most`.
    fn below(&mut self, most: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 11) as usize % (most + 1)
    }
}
