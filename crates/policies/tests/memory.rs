//! A million keys stay under 200 MiB. In a process of its own, so that nothing else is measured.
#[cfg(test)]
mod memory {
    use std::net::IpAddr;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use portcullis_config::model::{
        Algorithm, Cost, CountBy, KeyPart, Missing, OnLimit, Policy, RateLimit, ReplyFields,
    };
    use portcullis_policies::{Applying, Facts, Now, Registry, Scope, Work, nanos};

    struct Client(u128);

    impl Facts for Client {
        fn client(&self) -> Option<IpAddr> {
            Some(IpAddr::from(self.0.to_be_bytes()))
        }

        fn values(&self, _: &KeyPart, _: &mut dyn FnMut(&[u8])) {}

        fn header(&self, _: &str, _: &mut dyn FnMut(&[u8])) {}
    }

    fn limit(keys: usize) -> Policy {
        let parts = vec![KeyPart::Ip { prefix4: 32, prefix6: 128 }];
        Policy::RateLimit(Arc::new(RateLimit {
            name: "per-client".into(),
            by: CountBy { parts, missing: Missing::Refuse, keys },
            algorithm: Algorithm::TokenBucket { burst: 2 },
            limit: 2,
            per: Duration::from_secs(3600),
            cost: Cost::Fixed(1),
            on_limit: OnLimit::Refuse,
            sharing: None,
            fields: ReplyFields { standard: true, x: false },
        }))
    }

    /// Resident memory in bytes.
    fn resident() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    }

    #[test]
    fn a_million_keys_stay_under_200_mib_and_the_first_still_count() {
        let registry = Registry::new(1);
        let running = registry.limits(&Scope::Global, &[limit(1_000_000)]);
        let applying = Applying::new([&running, &[], &[]]);
        let now = Now { steady: nanos(Instant::now()), wall: || 0 };
        let mut work = Work::default();
        let mut passes = |client: u128| {
            // Spread over all networks.
            let address = client.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_0c1f_8a5d_9e2b);
            work.admit(applying, &Client(address), now, 0, &mut Vec::new()).is_ok()
        };
        let before = resident();
        for client in 1..=1_000_000 {
            assert!(passes(client) && passes(client));
        }
        let taken = resident() - before;
        assert!(taken < 200 << 20, "{taken} bytes");
        let known = (1..=1_000_000).step_by(100).filter(|&client| !passes(client)).count();
        assert!(known >= 9_980, "{known} of 10000");
        // Three times as many do not take more.
        for client in 1_000_001..=3_000_000 {
            passes(client);
        }
        assert!(resident() - before < 200 << 20);
        assert!(registry.counted()[0].table.evicted() > 0);
    }
}
