//! Things by number, read by all workers without a lock while others come and go.
//!
//! The numbers are spread over many small sorted lists. A change copies one of them and swaps it, so
//! that it costs microseconds however many there are, and takes no memory but that of the thing.

use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;

use crate::registry::lock;

/// Bits of the number of lists.
const BITS: u32 = 12;

/// Something that has a number.
pub(crate) trait Numbered: Clone {
    /// The number. Its upper bits need not be spread.
    fn number(&self) -> u64;
}

/// Things by number; several may have the same.
#[derive(Debug)]
pub(crate) struct Shards<T> {
    lists: Box<[ArcSwap<Box<[T]>>]>,
    /// Held by whoever changes something.
    changes: Mutex<()>,
}

impl<T: Numbered> Default for Shards<T> {
    fn default() -> Shards<T> {
        let empty = Arc::new(Box::default());
        let lists = (0..1usize << BITS).map(|_| ArcSwap::new(Arc::clone(&empty))).collect();
        Shards { lists, changes: Mutex::default() }
    }
}

impl<T: Numbered> Shards<T> {
    /// What `look` makes of those with this number.
    pub(crate) fn find<R>(&self, number: u64, look: impl FnMut(&T) -> Option<R>) -> Option<R> {
        let list = self.lists[place(number)].load();
        let start = list.partition_point(|one| one.number() < number);
        list[start..].iter().take_while(|one| one.number() == number).find_map(look)
    }

    /// Puts one in, in the place of those with its number for which `same` says so.
    pub(crate) fn put(&self, new: T, same: impl Fn(&T) -> bool) {
        let _guard = lock(&self.changes);
        let number = new.number();
        let slot = &self.lists[place(number)];
        let old = slot.load();
        let at = old.partition_point(|one| one.number() < number);
        let mut list = Vec::with_capacity(old.len() + 1);
        list.extend_from_slice(&old[..at]);
        list.push(new);
        list.extend(old[at..].iter().filter(|one| one.number() != number || !same(one)).cloned());
        slot.store(Arc::new(list.into_boxed_slice()));
    }

    /// Takes those with this number out for which `same` says so.
    pub(crate) fn remove(&self, number: u64, same: impl Fn(&T) -> bool) {
        let _guard = lock(&self.changes);
        let slot = &self.lists[place(number)];
        let old = slot.load();
        let left = |one: &&T| one.number() != number || !same(one);
        let list: Box<[T]> = old.iter().filter(left).cloned().collect();
        if list.len() < old.len() {
            slot.store(Arc::new(list));
        }
    }

    /// Has all of these, about `count` of them, and no others.
    pub(crate) fn fill<E>(
        &self,
        all: impl Iterator<Item = Result<T, E>>,
        count: usize,
    ) -> Result<(), E> {
        let _guard = lock(&self.changes);
        let each = count >> BITS;
        let each = each + each / 8;
        let mut lists: Vec<Vec<T>> = (0..1 << BITS).map(|_| Vec::with_capacity(each)).collect();
        for one in all {
            let one = one?;
            lists[place(one.number())].push(one);
        }
        for (slot, mut list) in self.lists.iter().zip(lists) {
            list.sort_by_key(T::number);
            slot.store(Arc::new(list.into_boxed_slice()));
        }
        Ok(())
    }

    /// Calls `each` with every one, in no order.
    pub(crate) fn each(&self, mut each: impl FnMut(&T)) {
        for list in &self.lists {
            list.load().iter().for_each(&mut each);
        }
    }
}

/// The list of a number: its bits are mixed, for keys are drawn from few of them.
fn place(number: u64) -> usize {
    (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - BITS)) as usize
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::sync::atomic::Ordering::Relaxed;

    use super::*;

    impl Numbered for (u64, char) {
        fn number(&self) -> u64 {
            self.0
        }
    }

    #[test]
    fn what_was_put_in_is_found_until_it_is_taken_out() {
        let shards = Shards::default();
        let all = (0..10_000).map(|number| Ok::<_, ()>((number, 'a')));
        shards.fill(all, 10_000).unwrap();
        let find = |number| shards.find(number, |one: &(u64, char)| Some(one.1));
        assert!((0..10_000).all(|number| find(number) == Some('a')));
        assert_eq!(find(10_000), None);
        shards.put((7, 'b'), |one| one.1 == 'a');
        assert_eq!(find(7), Some('b'));
        shards.put((7, 'c'), |one| one.1 == 'c');
        assert_eq!(shards.find(7, |one| (one.1 == 'b').then_some('b')), Some('b'));
        shards.remove(7, |one| one.1 == 'b');
        assert_eq!(find(7), Some('c'));
        shards.remove(7, |_| true);
        assert_eq!(find(7), None);
        let mut count = 0;
        shards.each(|_| count += 1);
        assert_eq!(count, 9_999);
    }

    /// A number that counts how often it is copied.
    #[derive(Debug)]
    struct Copied(u64, Arc<AtomicUsize>);

    impl Clone for Copied {
        fn clone(&self) -> Copied {
            self.1.fetch_add(1, Relaxed);
            Copied(self.0, Arc::clone(&self.1))
        }
    }

    impl Numbered for Copied {
        fn number(&self) -> u64 {
            self.0
        }
    }

    #[test]
    fn a_change_copies_one_list_of_thousands() {
        const MANY: u64 = 500_000;
        let (shards, copies) = (Shards::default(), Arc::new(AtomicUsize::new(0)));
        let all = (0..MANY).map(|number| Ok::<_, ()>(Copied(number, Arc::clone(&copies))));
        shards.fill(all, MANY as usize).unwrap();
        assert_eq!(copies.load(Relaxed), 0);
        // A list has about as many as any other: twice the mean leaves room for chance.
        let most = (2 * MANY as usize) >> BITS;
        for number in MANY..MANY + 100 {
            shards.put(Copied(number, Arc::clone(&copies)), |_| true);
            assert!(copies.swap(0, Relaxed) <= most);
            shards.remove(number, |_| true);
            assert!(copies.swap(0, Relaxed) <= most);
        }
    }
}
