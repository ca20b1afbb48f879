//! Tokens into an expression: by precedence, no deeper than it may be.

use std::ops::Range;

use crate::ast::{Expr, Kind, Operator};
use crate::fault::Fault;
use crate::token::{Placed, Token, tokens};

/// The longest expression, in bytes.
const LONGEST: usize = 16 * 1024;
/// The deepest, in expressions within each other: running it takes stack.
const DEEPEST: usize = 64;

const RESERVED: &[&str] = &[
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "namespace",
    "package",
    "return",
    "var",
    "void",
    "while",
];

pub(crate) fn parse(source: &str) -> Result<Expr, Fault> {
    if source.len() > LONGEST {
        return Err(Fault::new(0..0, format!("an expression has at most {LONGEST} bytes")));
    }
    let tokens = tokens(source)?;
    let mut parser = Parser { tokens, next: 0, depth: 0 };
    let whole = parser.ternary()?;
    match parser.peek() {
        Token::End => Ok(whole),
        _ => Err(Fault::new(parser.place(), "the expression has ended before this")),
    }
}

struct Parser {
    tokens: Vec<Placed>,
    next: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> &Token {
        // The last token is the end, and nothing goes beyond it.
        &self.tokens[self.next].0
    }

    fn place(&self) -> Range<usize> {
        self.tokens[self.next].1.clone()
    }

    fn advance(&mut self) -> Placed {
        let placed = self.tokens[self.next].clone();
        self.next = (self.next + 1).min(self.tokens.len() - 1);
        placed
    }

    fn takes(&mut self, mark: &str) -> bool {
        let found = matches!(self.peek(), Token::Mark(found) if *found == mark);
        if found {
            self.advance();
        }
        found
    }

    fn expect(&mut self, mark: &str) -> Result<usize, Fault> {
        let end = self.place().end;
        if self.takes(mark) {
            return Ok(end);
        }
        let message = match self.peek() {
            Token::End => format!("the expression ends where `{mark}` is missing"),
            _ => format!("expected `{mark}`"),
        };
        Err(Fault::new(self.place(), message))
    }

    /// An expression of these, unless it is nested too deeply.
    fn made(&self, kind: Kind, at: Range<usize>) -> Result<Expr, Fault> {
        let depth = 1 + deepest(&kind);
        if depth > DEEPEST {
            return Err(too_deep(at));
        }
        Ok(Expr { kind, at, depth })
    }

    fn ternary(&mut self) -> Result<Expr, Fault> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(too_deep(self.place()));
        }
        let test = self.any()?;
        let expr = if self.takes("?") {
            let then = self.any()?;
            self.expect(":")?;
            let otherwise = self.ternary()?;
            let at = test.at.start..otherwise.at.end;
            self.made(Kind::If(Box::new([test, then, otherwise])), at)?
        } else {
            test
        };
        self.depth -= 1;
        Ok(expr)
    }

    fn any(&mut self) -> Result<Expr, Fault> {
        self.joined("||", Parser::all, Kind::Any)
    }

    fn all(&mut self) -> Result<Expr, Fault> {
        self.joined("&&", |parser| parser.binary(0), Kind::All)
    }

    fn joined(
        &mut self,
        mark: &str,
        part: impl Fn(&mut Parser) -> Result<Expr, Fault>,
        kind: fn(Vec<Expr>) -> Kind,
    ) -> Result<Expr, Fault> {
        let first = part(self)?;
        if !matches!(self.peek(), Token::Mark(found) if *found == mark) {
            return Ok(first);
        }
        let mut parts = vec![first];
        while self.takes(mark) {
            parts.push(part(self)?);
        }
        let at = parts[0].at.start..parts[parts.len() - 1].at.end;
        self.made(kind(parts), at)
    }

    /// Operators that bind at least as tightly as `level`.
    fn binary(&mut self, level: u8) -> Result<Expr, Fault> {
        let mut left = self.unary()?;
        while let Some((operator, of)) = self.operator().filter(|(_, of)| *of >= level) {
            self.advance();
            let right = self.binary(of + 1)?;
            let at = left.at.start..right.at.end;
            left = self.made(Kind::Binary(operator, Box::new([left, right])), at)?;
        }
        Ok(left)
    }

    fn operator(&self) -> Option<(Operator, u8)> {
        Some(match self.peek() {
            Token::Name(name) if name == "in" => (Operator::In, 0),
            Token::Mark("==") => (Operator::Equal, 0),
            Token::Mark("!=") => (Operator::Unequal, 0),
            Token::Mark("<") => (Operator::Less, 0),
            Token::Mark("<=") => (Operator::AtMost, 0),
            Token::Mark(">") => (Operator::More, 0),
            Token::Mark(">=") => (Operator::AtLeast, 0),
            Token::Mark("+") => (Operator::Add, 1),
            Token::Mark("-") => (Operator::Subtract, 1),
            Token::Mark("*") => (Operator::Multiply, 2),
            Token::Mark("/") => (Operator::Divide, 2),
            Token::Mark("%") => (Operator::Remainder, 2),
            _ => return None,
        })
    }

    fn unary(&mut self) -> Result<Expr, Fault> {
        let start = self.place().start;
        let mut marks = Vec::new();
        while let Token::Mark(mark @ ("!" | "-")) = *self.peek() {
            marks.push((mark, self.advance().1.start));
            if marks.len() > DEEPEST {
                return Err(too_deep(start..self.place().end));
            }
        }
        let mut expr = match (marks.last(), self.peek()) {
            // The smallest number has no positive twin.
            (Some(("-", at)), Token::Int(number)) if *number == 1 << 63 => {
                let at = *at..self.place().end;
                self.advance();
                marks.pop();
                self.made(Kind::Int(i64::MIN), at)?
            }
            _ => self.member()?,
        };
        for (mark, at) in marks.into_iter().rev() {
            let at = at..expr.at.end;
            let kind = match (mark, expr.kind) {
                ("-", Kind::Int(number)) if number != i64::MIN => Kind::Int(-number),
                ("-", Kind::Double(number)) => Kind::Double(-number),
                ("-", kind) => Kind::Negate(Box::new(Expr { kind, ..expr })),
                (_, kind) => Kind::Not(Box::new(Expr { kind, ..expr })),
            };
            expr = self.made(kind, at)?;
        }
        Ok(expr)
    }

    fn member(&mut self) -> Result<Expr, Fault> {
        let mut expr = self.primary()?;
        loop {
            let start = expr.at.start;
            if self.takes(".") {
                let (token, at) = self.advance();
                let Token::Name(name) = token else {
                    return Err(Fault::new(at, "expected the name of a field or function"));
                };
                let receiver = Box::new(expr);
                expr = if self.takes("(") {
                    let (arguments, end) = self.list(")")?;
                    self.made(Kind::Call(Some(receiver), name, arguments), start..end)?
                } else {
                    self.made(Kind::Select(receiver, name), start..at.end)?
                };
            } else if self.takes("[") {
                let index = self.ternary()?;
                let end = self.expect("]")?;
                expr = self.made(Kind::Index(Box::new([expr, index])), start..end)?;
            } else {
                return Ok(expr);
            }
        }
    }

    fn primary(&mut self) -> Result<Expr, Fault> {
        let (token, at) = self.advance();
        let kind = match token {
            Token::Int(number) => Kind::Int(
                i64::try_from(number)
                    .map_err(|_| Fault::new(at.clone(), "this number is too large"))?,
            ),
            Token::Uint(number) => Kind::Uint(number),
            Token::Double(number) => Kind::Double(number),
            Token::Text(text) => Kind::Text(text),
            Token::Bytes(bytes) => Kind::Bytes(bytes),
            Token::Mark("(") => {
                let inner = self.ternary()?;
                let end = self.expect(")")?;
                return Ok(Expr { at: at.start..end, ..inner });
            }
            Token::Mark("[") => {
                let (items, end) = self.list("]")?;
                return self.made(Kind::List(items), at.start..end);
            }
            Token::Mark("{") => return self.map(at.start),
            Token::Name(name) => return self.name(name, at),
            Token::End => return Err(Fault::new(at, "the expression ends too early")),
            Token::Mark(mark) => {
                return Err(Fault::new(at, format!("expected a value before `{mark}`")));
            }
        };
        self.made(kind, at)
    }

    fn name(&mut self, name: String, at: Range<usize>) -> Result<Expr, Fault> {
        let kind = match &*name {
            "true" => Kind::Bool(true),
            "false" => Kind::Bool(false),
            "null" => Kind::Null,
            "in" => return Err(Fault::new(at, "expected a value before `in`")),
            reserved if RESERVED.contains(&reserved) => {
                let fault = Fault::new(at, format!("`{reserved}` is a reserved word"));
                return Err(match reserved {
                    "if" | "else" => fault.help("a choice is `test ? one : other`"),
                    _ => fault,
                });
            }
            "and" | "or" | "not" if !matches!(self.peek(), Token::Mark(_) | Token::End) => {
                let mark = match &*name {
                    "and" => "&&",
                    "or" => "||",
                    _ => "!",
                };
                return Err(Fault::new(at, format!("`{name}` is written `{mark}`")));
            }
            _ if self.takes("(") => {
                let (arguments, end) = self.list(")")?;
                return self.made(Kind::Call(None, name, arguments), at.start..end);
            }
            _ => Kind::Name(name),
        };
        self.made(kind, at)
    }

    fn list(&mut self, end: &str) -> Result<(Vec<Expr>, usize), Fault> {
        let mut items = Vec::new();
        loop {
            let at = self.place();
            if self.takes(end) {
                return Ok((items, at.end));
            }
            if !items.is_empty() {
                self.expect(",").map_err(|fault| Fault {
                    message: format!("expected `,` or `{end}`"),
                    ..fault
                })?;
                // One comma may stand at the end of a list, but not of arguments.
                let at = self.place();
                if end != ")" && self.takes(end) {
                    return Ok((items, at.end));
                }
            }
            items.push(self.ternary()?);
        }
    }

    fn map(&mut self, start: usize) -> Result<Expr, Fault> {
        let mut entries = Vec::new();
        loop {
            let at = self.place();
            if self.takes("}") {
                return self.made(Kind::Map(entries), start..at.end);
            }
            if !entries.is_empty() {
                self.expect(",")?;
                let at = self.place();
                if self.takes("}") {
                    return self.made(Kind::Map(entries), start..at.end);
                }
            }
            let key = self.ternary()?;
            self.expect(":")?;
            entries.push((key, self.ternary()?));
        }
    }
}

fn too_deep(at: Range<usize>) -> Fault {
    Fault::new(at, format!("this is nested more than {DEEPEST} deep"))
}

/// How deep the parts of an expression are.
fn deepest(kind: &Kind) -> usize {
    let of = |parts: &[Expr]| parts.iter().map(|part| part.depth).max().unwrap_or(0);
    match kind {
        Kind::Null
        | Kind::Bool(_)
        | Kind::Int(_)
        | Kind::Uint(_)
        | Kind::Double(_)
        | Kind::Text(_)
        | Kind::Bytes(_)
        | Kind::Name(_) => 0,
        Kind::Not(part) | Kind::Negate(part) | Kind::Select(part, _) => part.depth,
        Kind::All(parts) | Kind::Any(parts) | Kind::List(parts) => of(parts),
        Kind::If(parts) => of(&**parts),
        Kind::Binary(_, parts) | Kind::Index(parts) => of(&**parts),
        Kind::Call(receiver, _, arguments) => {
            of(arguments).max(receiver.as_ref().map_or(0, |receiver| receiver.depth))
        }
        Kind::Map(entries) => {
            entries.iter().map(|(key, value)| key.depth.max(value.depth)).max().unwrap_or(0)
        }
    }
}
