//! Text into tokens.

use std::ops::Range;

use crate::fault::Fault;

/// A token.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Token {
    Name(String),
    Int(u64),
    Uint(u64),
    Double(f64),
    Text(String),
    Bytes(Vec<u8>),
    /// One of [`MARKS`].
    Mark(&'static str),
    End,
}

/// Marks, the longer ones first.
const MARKS: &[&str] = &[
    "==", "!=", "<=", ">=", "&&", "||", "<", ">", "+", "-", "*", "/", "%", "!", "?", ":", ".", ",",
    "(", ")", "[", "]", "{", "}",
];

/// A token and its place.
pub(crate) type Placed = (Token, Range<usize>);

pub(crate) fn tokens(source: &str) -> Result<Vec<Placed>, Fault> {
    let mut lexer = Lexer { source, at: 0 };
    let mut tokens = Vec::new();
    loop {
        lexer.skip_blank();
        let start = lexer.at;
        let token = lexer.next()?;
        let end = token == Token::End;
        tokens.push((token, start..lexer.at));
        if end {
            return Ok(tokens);
        }
    }
}

struct Lexer<'s> {
    source: &'s str,
    at: usize,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.source[self.at..]
    }

    fn skip_blank(&mut self) {
        loop {
            let rest = self.rest();
            let blank = rest.len() - rest.trim_start().len();
            self.at += blank;
            if !self.rest().starts_with("//") {
                return;
            }
            let line = self.rest().find('\n').unwrap_or(self.rest().len());
            self.at += line;
        }
    }

    fn take(&mut self, wanted: impl Fn(char) -> bool) -> String {
        let rest = self.rest();
        let end = rest.find(|c| !wanted(c)).unwrap_or(rest.len());
        let taken = rest[..end].to_owned();
        self.at += end;
        taken
    }

    fn next(&mut self) -> Result<Token, Fault> {
        let Some(first) = self.rest().chars().next() else { return Ok(Token::End) };
        let point = self.rest().starts_with('.') && self.rest()[1..].starts_with(digit);
        if digit(first) || point {
            return self.number();
        }
        if let Some((prefix, quote)) = self.string_start() {
            return self.string(prefix, quote);
        }
        if first.is_ascii_alphabetic() || first == '_' {
            return Ok(Token::Name(self.take(|c| c.is_ascii_alphanumeric() || c == '_')));
        }
        if let Some(mark) = MARKS.iter().find(|mark| self.rest().starts_with(**mark)) {
            self.at += mark.len();
            return Ok(Token::Mark(mark));
        }
        let fault = Fault::new(
            self.at..self.at + first.len_utf8(),
            format!("`{first}` means nothing here"),
        );
        Err(match first {
            '=' => fault.help("equality is `==`"),
            '&' => fault.help("both is `&&`"),
            '|' => fault.help("either is `||`"),
            '\u{201c}' | '\u{201d}' | '\u{2019}' => fault.help("quotes are `\"` or `'`"),
            _ => fault,
        })
    }

    fn number(&mut self) -> Result<Token, Fault> {
        let start = self.at;
        let bad = |lexer: &Lexer<'_>, what: &str| Fault::new(start..lexer.at, what.to_owned());
        if let Some(hex) = self.rest().strip_prefix("0x") {
            let digits = hex.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(hex.len());
            let number = u64::from_str_radix(&hex[..digits], 16);
            self.at += 2 + digits;
            let number = number.map_err(|_| bad(self, "this number is none, or too large"))?;
            return self.whole(start, number);
        }
        let whole = self.take(digit);
        let fraction = self.rest().starts_with('.') && self.rest()[1..].starts_with(digit);
        if fraction {
            self.at += 1;
            self.take(digit);
        }
        let exponent = self.exponent();
        if fraction || exponent {
            let number: f64 = self.source[start..self.at]
                .parse()
                .map_err(|_| bad(self, "this number is none"))?;
            self.no_letter(start)?;
            return Ok(Token::Double(number));
        }
        let number = whole.parse().map_err(|_| bad(self, "this number is too large"))?;
        self.whole(start, number)
    }

    fn exponent(&mut self) -> bool {
        let Some(rest) = self.rest().strip_prefix(['e', 'E']) else { return false };
        let digits = rest.strip_prefix(['+', '-']).unwrap_or(rest);
        if !digits.starts_with(digit) {
            return false;
        }
        self.at += self.rest().len() - digits.len();
        self.take(digit);
        true
    }

    fn whole(&mut self, start: usize, number: u64) -> Result<Token, Fault> {
        if self.rest().starts_with(['u', 'U']) {
            self.at += 1;
            self.no_letter(start)?;
            return Ok(Token::Uint(number));
        }
        self.no_letter(start)?;
        Ok(Token::Int(number))
    }

    fn no_letter(&self, start: usize) -> Result<(), Fault> {
        if self.rest().starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_') {
            return Err(Fault::new(start..self.at + 1, "a number cannot be followed by this"));
        }
        Ok(())
    }

    /// Letters before a quote, and the quotes.
    fn string_start(&self) -> Option<(&'static str, &'static str)> {
        const PREFIXES: &[&str] =
            &["", "r", "R", "b", "B", "br", "bR", "Br", "BR", "rb", "rB", "Rb", "RB"];
        PREFIXES.iter().find_map(|prefix| {
            let rest = self.rest().strip_prefix(prefix)?;
            let quotes = ["\"\"\"", "'''", "\"", "'"];
            let quote = quotes.into_iter().find(|quote| rest.starts_with(quote))?;
            Some((*prefix, quote))
        })
    }

    fn string(&mut self, prefix: &str, quote: &str) -> Result<Token, Fault> {
        let start = self.at;
        self.at += prefix.len() + quote.len();
        let has = |letter: char| prefix.contains([letter, letter.to_ascii_uppercase()]);
        let (raw, bytes) = (has('r'), has('b'));
        let mut out: Vec<u8> = Vec::new();
        loop {
            let Some(next) = self.rest().chars().next() else {
                return Err(Fault::new(start..self.at, "this string does not end"));
            };
            if self.rest().starts_with(quote) {
                self.at += quote.len();
                break;
            }
            if next == '\n' && quote.len() == 1 {
                return Err(Fault::new(start..self.at, "this string does not end on its line"));
            }
            if next == '\\' && !raw {
                self.escape(bytes, &mut out)?;
                continue;
            }
            let mut buffer = [0; 4];
            out.extend_from_slice(next.encode_utf8(&mut buffer).as_bytes());
            self.at += next.len_utf8();
        }
        if bytes {
            return Ok(Token::Bytes(out));
        }
        String::from_utf8(out)
            .map(Token::Text)
            .map_err(|_| Fault::new(start..self.at, "this string is no UTF-8"))
    }

    fn escape(&mut self, bytes: bool, out: &mut Vec<u8>) -> Result<(), Fault> {
        let start = self.at;
        self.at += 1;
        let Some(kind) = self.rest().chars().next() else {
            return Err(Fault::new(start..self.at, "this string does not end"));
        };
        self.at += kind.len_utf8();
        let simple = match kind {
            'a' => Some(7),
            'b' => Some(8),
            'f' => Some(12),
            'n' => Some(10),
            'r' => Some(13),
            't' => Some(9),
            'v' => Some(11),
            '\\' | '?' | '"' | '\'' | '`' => Some(kind as u8),
            _ => None,
        };
        if let Some(byte) = simple {
            out.push(byte);
            return Ok(());
        }
        let unknown = |lexer: &Lexer<'_>| Fault::new(start..lexer.at, "there is no such escape");
        let (digits, radix) = match kind {
            'x' | 'X' => (2, 16),
            'u' if !bytes => (4, 16),
            'U' if !bytes => (8, 16),
            '0'..='3' => {
                self.at -= 1;
                (3, 8)
            }
            _ => return Err(unknown(self)),
        };
        let Some(text) = self.rest().get(..digits) else { return Err(unknown(self)) };
        if !text.bytes().all(|byte| char::from(byte).is_digit(radix)) {
            return Err(unknown(self));
        }
        let number = u32::from_str_radix(text, radix).map_err(|_| unknown(self))?;
        self.at += digits;
        if bytes {
            out.push(u8::try_from(number).map_err(|_| unknown(self))?);
            return Ok(());
        }
        let letter = char::from_u32(number).ok_or_else(|| unknown(self))?;
        let mut buffer = [0; 4];
        out.extend_from_slice(letter.encode_utf8(&mut buffer).as_bytes());
        Ok(())
    }
}

fn digit(c: char) -> bool {
    c.is_ascii_digit()
}
