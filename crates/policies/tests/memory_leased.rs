//! Shares of a limit whose store does not answer take no more memory than those of one that does. In
//! a process of its own, so that nothing else is measured.
#[cfg(test)]
mod memory_leased {
    use std::collections::BTreeMap;
    use std::net::{IpAddr, TcpListener};
    use std::sync::Arc;
    use std::sync::atomic::Ordering::Relaxed;
    use std::thread::sleep;
    use std::time::{Duration, Instant};

    use portcullis_config::model::{
        Address, Algorithm, Cost, CountBy, KeyPart, Login, Missing, OnFailure, OnLimit, Policy,
        RateLimit, ReplyFields, Servers, Sharing, SharingMode, Store,
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

    fn store(address: Address) -> Store {
        Store {
            name: "s".into(),
            servers: Servers::Single(address),
            login: Login::default(),
            tls: None,
            database: 0,
            prefix: "p".into(),
            timeout: Duration::from_millis(20),
            on_failure: OnFailure::Local,
        }
    }

    fn limit(keys: usize) -> Policy {
        let parts = vec![KeyPart::Ip { prefix4: 32, prefix6: 128 }];
        Policy::RateLimit(Arc::new(RateLimit {
            name: "per-client".into(),
            by: CountBy { parts, missing: Missing::Refuse, keys },
            algorithm: Algorithm::TokenBucket { burst: 1000 },
            limit: 1000,
            per: Duration::from_secs(3600),
            cost: Cost::Fixed(1),
            on_limit: OnLimit::Refuse,
            sharing: Some(Sharing { store: "s".into(), mode: SharingMode::Leased }),
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
    fn a_million_keys_of_a_store_that_hangs_stay_under_200_mib_and_go() {
        // It takes connections, and never says a word.
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let registry = Registry::new(1);
        let address = Address::Ip(silent.local_addr().unwrap());
        let specs = BTreeMap::from([("s".into(), Arc::new(store(address)))]);
        let prepared = registry.stores().prepare(&specs).unwrap();
        let running = registry.limits(&Scope::Global, &[limit(1_000_000)]);
        registry.stores().commit(prepared);
        let store = registry.stores().find(&"s".into()).unwrap();
        let applying = Applying::new([&running, &[], &[]]);
        let mut work = Work::default();
        let before = resident();
        for client in 1..=1_000_000u128 {
            let address = client.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_0c1f_8a5d_9e2b);
            let now = Now { steady: nanos(Instant::now()), wall: || 0 };
            // Some pass with what they are lent; others would have to ask.
            let asked = work.admit(applying, &Client(address), now, 0, &mut Vec::new());
            assert!(asked.is_ok());
            if client % 10_000 == 0 {
                // The background gets to hear of them.
                sleep(Duration::from_millis(5));
            }
        }
        let taken = resident() - before;
        println!("{} MiB", taken >> 20);
        assert!(taken < 200 << 20, "{taken} bytes");
        let known = || store.metrics().lease_keys.load(Relaxed);
        let until = Instant::now() + Duration::from_secs(60);
        while known() > 0 {
            assert!(Instant::now() < until, "{} are known for ever", known());
            sleep(Duration::from_millis(200));
        }
    }
}
