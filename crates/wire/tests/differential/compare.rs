//! Where two readings of one input part.

use super::seen::{End, Message, Reading};

/// The first difference between two readings.
#[derive(Debug)]
pub(crate) enum Difference<'a> {
    /// Both took the message and understood it differently.
    Meaning,
    /// We refused what hyper took, at least its head.
    Stricter { ours: &'a End, theirs: Option<&'a Message> },
    /// hyper refused what we took, at least its head.
    Laxer { ours: Option<&'a Message>, theirs: &'a End },
    /// One of us ended between messages and the other did not.
    Ends { ours: &'a End, theirs: &'a End },
}

/// Compares message by message. That both refuse, each for its own reason, is no difference, nor is
/// that one refuses at once what the other still waits for.
pub(crate) fn compare<'a>(ours: &'a Reading, theirs: &'a Reading) -> Option<Difference<'a>> {
    let both = ours.messages.iter().zip(&theirs.messages);
    for (ours, theirs) in both {
        if ours != theirs {
            return Some(Difference::Meaning);
        }
    }
    let common = ours.messages.len().min(theirs.messages.len());
    // The message at which they part, if either has it, whole or not.
    let next = |reading: &'a Reading| reading.messages.get(common).or(reading.cut.as_ref());
    let whole = |reading: &Reading| reading.messages.len() > common;
    match (whole(ours), whole(theirs)) {
        (true, _) => Some(Difference::Laxer { ours: next(ours), theirs: &theirs.end }),
        (_, true) => Some(Difference::Stricter { ours: &ours.end, theirs: next(theirs) }),
        _ => match (&ours.cut, &theirs.cut) {
            (Some(ours), Some(theirs)) if !same_head(ours, theirs) => Some(Difference::Meaning),
            (Some(message), None) => {
                Some(Difference::Laxer { ours: Some(message), theirs: &theirs.end })
            }
            (None, Some(message)) => {
                Some(Difference::Stricter { ours: &ours.end, theirs: Some(message) })
            }
            _ => {
                let clean = |end: &End| *end == End::Clean;
                (clean(&ours.end) != clean(&theirs.end))
                    .then_some(Difference::Ends { ours: &ours.end, theirs: &theirs.end })
            }
        },
    }
}

fn same_head(ours: &Message, theirs: &Message) -> bool {
    (&ours.line, ours.minor, &ours.fields) == (&theirs.line, theirs.minor, &theirs.fields)
}
