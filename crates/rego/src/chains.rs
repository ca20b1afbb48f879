//! How long expressions go on. The engine reads `1 + 1 + ...` and `a.b.c...` in a loop, but what it
//! makes of them is a tree as deep as they are long, and whatever goes through such a tree does so by
//! recursion, its end included. So they are counted before the engine reads them.

use regorus::unstable::{Lexer, Source, Token, TokenKind};

use crate::{Fault, Module};

/// The most operators and steps of references that lie within each other.
const LONGEST: usize = 64;

/// What the engine takes for an operator or a step, even in quotation marks.
const OPERATORS: [&str; 18] = [
    "+", "-", "*", "/", "%", "&", "|", "<", "<=", "==", ">=", ">", "!=", "=", ":=", ".", "[", "in",
];

/// Refuses a module that has an expression of more than `LONGEST` operators and steps. What cannot be
/// cut into words is left to the engine, which says so better.
pub(crate) fn bounded(module: &Module) -> Result<(), Fault> {
    let source = Source::from_contents(module.name.clone(), module.text.clone())
        .map_err(|error| Fault::module(&error))?;
    let mut lexer = Lexer::new(&source);
    let mut chain = Chain::default();
    while let Ok(token) = lexer.next_token() {
        if token.0 == TokenKind::Eof {
            break;
        }
        if chain.take(&token) > LONGEST {
            let Module { name, .. } = module;
            let place = format!("{name}:{}:{}", token.1.line, token.1.col);
            let message = format!("{place}: an expression has more than {LONGEST} operators");
            return Err(Fault::Module(message));
        }
    }
    Ok(())
}

/// What stands before a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Before {
    /// The end of an operand: a name, a value, a bracket that closes.
    Operand,
    /// Anything else.
    #[default]
    Other,
}

/// Where in the expressions of a module a reader is.
#[derive(Debug, Default)]
struct Chain {
    /// Operators and steps of the expression at hand, within each open bracket.
    open: Vec<usize>,
    /// The same outside the innermost bracket.
    here: usize,
    before: Before,
    line: u32,
}

impl Chain {
    /// Takes the next token. Gives how deep the tree is that it lies in, at most.
    fn take(&mut self, token: &Token) -> usize {
        let Token(kind, span) = token;
        let (text, operand) = (span.text(), self.before == Before::Operand);
        let begins = span.line > self.line;
        self.line = span.line;
        self.before = Before::Operand;
        match (kind, text) {
            (TokenKind::Symbol, ")" | "]" | "}") => self.here = self.open.pop().unwrap_or(0),
            (TokenKind::Symbol, "(" | "[" | "{" | "set(") => {
                self.here += usize::from(operand);
                self.open.push(std::mem::take(&mut self.here));
                self.before = Before::Other;
            }
            (TokenKind::Symbol, "," | ";") => {
                self.here = 0;
                self.before = Before::Other;
            }
            (TokenKind::Symbol, _) => {
                self.here += 1;
                self.before = Before::Other;
            }
            (TokenKind::Ident, "in") => self.here += 1,
            // `1 -1` is a difference.
            (TokenKind::Number, text) if text.starts_with('-') && operand => self.here += 1,
            // The engine goes by the text alone: `1 "+" 1` is a sum.
            (TokenKind::String | TokenKind::RawString, text) if OPERATORS.contains(&text) => {
                self.here += 1;
            }
            _ if begins && operand => self.here = 0,
            _ => {}
        }
        self.here + self.open.iter().sum::<usize>()
    }
}
