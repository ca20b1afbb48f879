//! How fast connections come to a listener: a bucket for each address and one for all, which its
//! workers fill together without a lock, and which know nothing of reloads.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::OnceLock;

use portcullis_config::model::{ConnectionRate, Pace};
use portcullis_policies::{Bucket, Key, Limit, Table};

/// Addresses that are remembered, in 5 MiB at most. Beyond, those go that have come least.
const ADDRESSES: usize = 100_000;

/// What has come. There is nothing of it until it is limited.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    /// By address. The secret is for nobody to choose with whom he is counted.
    clients: OnceLock<(RandomState, Table)>,
    all: OnceLock<Table>,
}

impl Arrivals {
    /// Whether a connection may come in at `now` (in nanoseconds). If not, it is not counted.
    pub(crate) fn let_in(&self, rate: &ConnectionRate, ip: Option<IpAddr>, now: u64) -> bool {
        let client = rate.per_client.zip(ip).map(|(pace, ip)| {
            let (hasher, table) =
                self.clients.get_or_init(|| (RandomState::new(), Table::new(ADDRESSES)));
            Counted { table, key: Key::new(hasher.hash_one(network(ip))), limit: limit(pace) }
        });
        let all = rate.total.map(|pace| {
            let table = self.all.get_or_init(|| Table::new(1));
            Counted { table, key: Key::new(0), limit: limit(pace) }
        });
        // The address first: one that comes too fast takes nothing away from others.
        let mut after = None;
        if let Some(client) = &client {
            after = client.take(now);
            if after.is_none() {
                return false;
            }
        }
        let passes = all.is_none_or(|all| all.take(now).is_some());
        if let (false, Some(client), Some(after)) = (passes, client, after) {
            client.give_back(after, now);
        }
        passes
    }
}

/// Where a connection is counted.
struct Counted<'a> {
    table: &'a Table,
    key: Key,
    limit: Limit,
}

impl Counted<'_> {
    /// Counts it; gives what is counted then, if it may pass.
    fn take(&self, now: u64) -> Option<u128> {
        let worth = |state| self.limit.worth(state, now);
        let take = |state| {
            let (after, _) = self.limit.take(state, now, 1);
            (after, after)
        };
        self.table.change(self.key, worth, take).ok().flatten()
    }

    fn give_back(&self, after: u128, now: u64) {
        let back = |state| self.limit.give_back(state, after, now, 1);
        self.table.change_known(self.key, back);
    }
}

fn limit(pace: Pace) -> Limit {
    let per = u64::try_from(pace.per.as_nanos()).unwrap_or(u64::MAX);
    Limit::Bucket(Bucket::new(pace.limit, per, pace.burst, 0))
}

/// An IPv4 address, or the network that a household has of IPv6.
fn network(ip: IpAddr) -> u128 {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.to_bits().into(),
        IpAddr::V6(ip) => ip.to_bits() & (u128::MAX << 64),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn pace(limit: u32, burst: u32) -> Option<Pace> {
        Some(Pace { limit, per: Duration::from_secs(1), burst })
    }

    fn come(arrivals: &Arrivals, rate: &ConnectionRate, ip: &str, times: usize, now: u64) -> usize {
        let ip = ip.parse().ok();
        (0..times).filter(|_| arrivals.let_in(rate, ip, now)).count()
    }

    #[test]
    fn an_address_has_a_burst_and_a_rate() {
        let (arrivals, rate) =
            (Arrivals::default(), ConnectionRate { per_client: pace(2, 5), total: None });
        assert_eq!(come(&arrivals, &rate, "192.0.2.1", 9, SECOND), 5);
        assert_eq!(come(&arrivals, &rate, "192.0.2.1", 9, SECOND + SECOND / 2), 1);
        assert_eq!(come(&arrivals, &rate, "::ffff:192.0.2.1", 9, SECOND + SECOND / 2), 0);
        assert_eq!(come(&arrivals, &rate, "192.0.2.2", 9, SECOND), 5);
        assert_eq!(come(&arrivals, &rate, "2001:db8::1", 3, SECOND), 3);
        assert_eq!(come(&arrivals, &rate, "2001:db8::2", 9, SECOND), 2);
        assert!(arrivals.let_in(&rate, None, SECOND), "a Unix socket has no addresses");
    }

    #[test]
    fn who_is_refused_for_all_has_lost_nothing_himself() {
        let (arrivals, both) =
            (Arrivals::default(), ConnectionRate { per_client: pace(1, 3), total: pace(1, 4) });
        assert_eq!(come(&arrivals, &both, "192.0.2.1", 9, SECOND), 3);
        assert_eq!(come(&arrivals, &both, "192.0.2.2", 9, SECOND), 1);
        let alone = ConnectionRate { total: None, ..both };
        assert_eq!(come(&arrivals, &alone, "192.0.2.2", 9, SECOND), 2);
    }

    #[test]
    fn many_addresses_take_no_more_memory_than_their_table() {
        let (arrivals, rate) =
            (Arrivals::default(), ConnectionRate { per_client: pace(1, 1), total: None });
        for n in 0..1_000_000_u32 {
            arrivals.let_in(&rate, Some(IpAddr::from(n.to_be_bytes())), SECOND);
        }
        let (_, table) = arrivals.clients.get().unwrap();
        assert!(table.slots() <= 3 * ADDRESSES as u64 && table.evicted() > 600_000);
    }
}
