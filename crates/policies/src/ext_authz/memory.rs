//! Answers that are remembered: so many, each for so long, and none that is large.

use std::collections::HashMap;
use std::time::Instant;

use super::Answer;
use super::question::Key;

/// The largest answer that is remembered, in bytes.
const LARGEST: usize = 4096;

/// What a worker remembers: what is new and what was before that. When there is no more room for the
/// new, the old goes; what is still asked for has moved to the new by then.
#[derive(Debug)]
pub(super) struct Memory {
    new: HashMap<Key, (Answer, Instant)>,
    old: HashMap<Key, (Answer, Instant)>,
    /// Most of the new, and so of the old.
    most: usize,
}

impl Memory {
    /// One with room for so many.
    pub(super) fn new(size: usize) -> Memory {
        Memory { new: HashMap::new(), old: HashMap::new(), most: size.div_ceil(2) }
    }

    /// The answer to a question, if it is remembered and still good.
    pub(super) fn find(&mut self, key: &Key, now: Instant) -> Option<Answer> {
        if let Some((answer, until)) = self.new.get(key) {
            return (*until > now).then(|| answer.clone());
        }
        let (answer, until) = self.old.remove(key).filter(|(_, until)| *until > now)?;
        self.put(*key, answer.clone(), until);
        Some(answer)
    }

    /// Remembers an answer until then.
    pub(super) fn keep(&mut self, key: Key, answer: &Answer, until: Instant) {
        if size(answer) <= LARGEST {
            self.put(key, answer.clone(), until);
        }
    }

    fn put(&mut self, key: Key, answer: Answer, until: Instant) {
        if self.new.len() >= self.most && !self.new.contains_key(&key) {
            self.old = std::mem::take(&mut self.new);
        }
        self.new.insert(key, (answer, until));
    }
}

fn size(answer: &Answer) -> usize {
    let (fields, content) = match answer {
        Answer::Pass(fields) => (&**fields, 0),
        Answer::Deny(denial) => (&denial.fields, denial.content.len()),
    };
    fields.iter().map(|field| field.name.len() + field.value.len()).sum::<usize>() + content
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use portcullis_wire::Fields;

    use super::super::Denial;
    use super::*;

    fn pass() -> Answer {
        Answer::Pass(Arc::new(Fields::default()))
    }

    fn key(number: u16) -> Key {
        let mut key = [0; 32];
        key[..2].copy_from_slice(&number.to_be_bytes());
        key
    }

    #[test]
    fn answers_are_good_for_their_time() {
        let (mut memory, now) = (Memory::new(10), Instant::now());
        let second = Duration::from_secs(1);
        memory.keep(key(1), &pass(), now + second);
        assert!(memory.find(&key(1), now).is_some());
        assert!(memory.find(&key(1), now + second).is_none());
        assert!(memory.find(&key(2), now).is_none());
    }

    #[test]
    fn what_is_asked_for_stays_and_the_rest_is_bounded() {
        let (mut memory, now) = (Memory::new(10), Instant::now());
        let until = now + Duration::from_secs(10);
        memory.keep(key(0), &pass(), until);
        for number in 1..1000 {
            memory.keep(key(number), &pass(), until);
            assert!(memory.find(&key(0), now).is_some(), "{number}");
            assert!(memory.new.len() + memory.old.len() <= 10);
        }
        assert!(memory.find(&key(1), now).is_none());
    }

    #[test]
    fn what_is_large_is_not_remembered() {
        let (mut memory, now) = (Memory::new(10), Instant::now());
        let content = vec![b'x'; LARGEST + 1];
        let denial = Denial { status: 403, fields: Fields::default(), content };
        memory.keep(key(1), &Answer::Deny(Arc::new(denial)), now + Duration::from_secs(1));
        assert!(memory.find(&key(1), now).is_none());
    }
}
