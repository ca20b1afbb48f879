//! The scripts on real servers, through the store that calls them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use portcullis_config::model::{
    self, Address, Login, OnFailure, Secret, Servers, StoreTls, TlsFile,
};
use portcullis_policies::shared::{Asked, Store, StoreFault, StoreKey, Stores};
use portcullis_policies::{Allowance, Bucket, Limit, Verdict, Window};
use portcullis_testkit::redis::{Redis, RedisCluster, Setup, Watched, redis_is_here};
use portcullis_testkit::{Authority, eventually};

const HOUR: u64 = 3_600_000_000_000;

fn spec(servers: Servers) -> model::Store {
    model::Store {
        name: "limits".into(),
        servers,
        login: Login::default(),
        tls: None,
        database: 0,
        prefix: "portcullis".into(),
        timeout: Duration::from_secs(5),
        on_failure: OnFailure::Closed,
    }
}

fn address(text: &str) -> Address {
    match text.rsplit_once(':') {
        Some(("localhost", port)) => {
            Address::Name { host: "localhost".into(), port: port.parse().unwrap() }
        }
        _ => Address::Ip(text.parse().unwrap()),
    }
}

fn single(redis: &Redis) -> model::Store {
    spec(Servers::Single(address(&redis.address())))
}

/// Does something with a store, as a worker would: on one thread.
fn with<T>(spec: model::Store, work: impl AsyncFnOnce(Arc<Store>) -> T) -> T {
    let stores = Stores::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let name = spec.name.clone();
        let specs = BTreeMap::from([(name.clone(), Arc::new(spec))]);
        stores.commit(stores.prepare(&specs).unwrap());
        work(stores.find(&name).unwrap()).await
    })
}

fn asked(key: &str, limit: Limit, cost: u32) -> Asked {
    Asked { key: StoreKey::of(key.as_bytes()), limit, cost }
}

fn bucket(burst: u32) -> Limit {
    Limit::Bucket(Bucket::new(burst, HOUR, burst, 0))
}

fn limits() -> [(&'static str, Limit); 3] {
    let minute = (model_now() / 60 + 90) as u32;
    [
        ("bucket", bucket(50)),
        ("window", Limit::Window(Window { limit: 50, per: 24 * HOUR })),
        ("period", Limit::Allowance(Allowance { limit: 50, end: minute, left: HOUR })),
    ]
}

/// Seconds since 1970, for a period that is not over before the test is.
fn model_now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

async fn one(store: &Store, key: &str, limit: Limit, cost: u32) -> Verdict {
    store.take(&[asked(key, limit, cost)]).await.unwrap()[0]
}

/// Many at once, from several threads with connections of their own: not one too many.
fn crowd(spec: &model::Store) {
    for (name, limit) in limits() {
        let thread = || {
            with(spec.clone(), async |store: Arc<Store>| {
                let asked = [asked(name, limit, 1)];
                let tasks: Vec<_> = (0..40)
                    .map(|_| {
                        let store = Arc::clone(&store);
                        tokio::spawn(async move { store.take(&asked).await.unwrap()[0].allowed })
                    })
                    .collect();
                let mut allowed = 0;
                for task in tasks {
                    allowed += u32::from(task.await.unwrap());
                }
                allowed
            })
        };
        let allowed: u32 = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..3).map(|_| scope.spawn(thread)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(allowed, 50, "{name}");
    }
}

#[test]
fn not_one_too_many_passes() {
    if !redis_is_here() {
        return;
    }
    let redis = Redis::start();
    crowd(&single(&redis));
    // Nothing of a key's parts is there to read, and nothing stays for good.
    for key in redis.keys() {
        assert!(key.starts_with("portcullis:") && !key.contains("bucket"), "{key}");
        assert_ne!(redis.ask(&["PTTL", &key]), "-1", "{key}");
    }
}

#[test]
fn a_cluster_counts_alike() {
    if !redis_is_here() {
        return;
    }
    let cluster = RedisCluster::start();
    let nodes = cluster.nodes().iter().map(|node| address(&node.address())).collect();
    crowd(&spec(Servers::Cluster(nodes)));
}

#[test]
fn verdicts_are_those_of_the_same_limit_in_memory() {
    if !redis_is_here() {
        return;
    }
    let redis = Redis::start();
    with(single(&redis), async |store: Arc<Store>| {
        for (name, limit) in limits() {
            let now = model_now() * 1_000_000_000;
            let mut state = 0;
            for cost in [1, 7, 30, 20, 12, 3, 1] {
                let (new, here) = limit.take(state, now, cost);
                state = new.unwrap_or(state);
                let there = one(&store, name, limit, cost).await;
                assert_eq!(
                    (there.allowed, there.remaining, there.wait),
                    (here.allowed, here.remaining, here.wait),
                    "{name}, {cost}"
                );
                // Time goes on there.
                let near = there.reset.abs_diff(here.reset) < HOUR / 100
                    || matches!(limit, Limit::Window(_));
                assert!(near, "{name}: {} there, {} here", there.reset, here.reset);
            }
        }
    });
}

#[test]
fn who_may_wait_is_told_how_long() {
    if !redis_is_here() {
        return;
    }
    let redis = Redis::start();
    with(single(&redis), async |store: Arc<Store>| {
        let limit = Limit::Bucket(Bucket::new(60, HOUR, 1, HOUR / 60));
        assert_eq!(one(&store, "wait", limit, 1).await.wait, 0);
        let second = one(&store, "wait", limit, 1).await;
        assert!(second.allowed && second.wait > HOUR / 100, "{second:?}");
        assert!(!one(&store, "wait", limit, 1).await.allowed);
    });
}

#[test]
fn all_limits_count_a_request_or_none() {
    if !redis_is_here() {
        return;
    }
    let redis = Redis::start();
    with(single(&redis), async |store: Arc<Store>| {
        let both = [asked("wide", bucket(10), 1), asked("narrow", bucket(2), 1)];
        for _ in 0..2 {
            assert!(store.take(&both).await.unwrap().iter().all(|verdict| verdict.allowed));
        }
        let verdicts = store.take(&both).await.unwrap();
        assert_eq!((verdicts[0].allowed, verdicts[0].remaining), (true, 8));
        assert_eq!((verdicts[1].allowed, verdicts[1].remaining), (false, 0));
        // The refused one was not counted.
        assert_eq!(one(&store, "wide", bucket(10), 1).await.remaining, 7);
    });
}

#[test]
fn what_is_given_back_can_be_taken_again() {
    if !redis_is_here() {
        return;
    }
    let redis = Redis::start();
    with(single(&redis), async |store: Arc<Store>| {
        for (name, limit) in limits() {
            assert!(one(&store, name, limit, 50).await.allowed);
            store.give_back(asked(name, limit, 20), 1000, HOUR);
            let mut verdict = one(&store, name, limit, 5).await;
            while !verdict.allowed {
                tokio::time::sleep(Duration::from_millis(5)).await;
                verdict = one(&store, name, limit, 5).await;
            }
            assert_eq!(verdict.remaining, 15, "{name}");
        }
    });
}

#[test]
fn what_has_come_in_again_is_not_given_back_too() {
    if !redis_is_here() {
        return;
    }
    let redis = Redis::start();
    with(single(&redis), async |store: Arc<Store>| {
        let gives = |key: &'static str, limit, age, reset| {
            let store = Arc::clone(&store);
            async move {
                assert!(one(&store, key, limit, 30).await.allowed);
                store.give_back(asked(key, limit, 20), age, reset);
                // Something else behind it on the same connection, whose answer comes after.
                tokio::time::sleep(Duration::from_millis(20)).await;
                one(&store, key, limit, 1).await.remaining
            }
        };
        // The bucket was full in between.
        assert_eq!(gives("b", bucket(50), HOUR, HOUR / 2).await, 19);
        // It was counted in a window that is over.
        let window = Limit::Window(Window { limit: 50, per: 24 * HOUR });
        assert_eq!(gives("w", window, 48 * HOUR, HOUR).await, 19);
    });
}

#[test]
fn scripts_that_a_server_has_forgotten_come_along_again() {
    if !redis_is_here() {
        return;
    }
    let redis = Redis::start();
    with(single(&redis), async |store: Arc<Store>| {
        assert_eq!(one(&store, "k", bucket(5), 1).await.remaining, 4);
        assert_eq!(redis.ask(&["SCRIPT", "FLUSH"]), "OK");
        assert_eq!(one(&store, "k", bucket(5), 1).await.remaining, 3);
    });
}

#[test]
fn tls_with_its_own_authority_and_a_user_with_few_rights() {
    if !redis_is_here() {
        return;
    }
    let authority = Authority::new();
    let redis = Setup::default().tls(&authority).login("gateway", "s3cret").start();
    let ca = |authority: &Authority| TlsFile {
        path: PathBuf::new(),
        content: authority.pem().into_bytes().into(),
    };
    let mut spec = single(&redis);
    spec.tls = Some(StoreTls { ca: Some(ca(&authority)), certificate: None });
    let password = |text: &str| Some(Secret::new(text));
    spec.login = Login { username: Some("gateway".into()), password: password("s3cret") };
    let again = spec.clone();
    with(spec.clone(), async |store: Arc<Store>| {
        assert!(one(&store, "k", bucket(5), 1).await.allowed);
        store.give_back(asked("k", bucket(5), 1), 1000, HOUR);
        assert!(eventually(|| store.metrics().up.load(std::sync::atomic::Ordering::Relaxed)));
        assert!(!format!("{store:?} {again:?}").contains("s3cret"));
    });
    spec.login.password = password("wrong");
    with(spec.clone(), async |store: Arc<Store>| {
        let asked = [asked("k", bucket(5), 1)];
        assert_eq!(store.take(&asked).await, Err(StoreFault::Refused));
    });
    spec.login.password = password("s3cret");
    spec.tls = Some(StoreTls { ca: Some(ca(&Authority::new())), certificate: None });
    with(spec, async |store: Arc<Store>| {
        let asked = [asked("k", bucket(5), 1)];
        assert_eq!(store.take(&asked).await, Err(StoreFault::Connection));
    });
}

#[test]
fn a_unix_socket_and_another_database() {
    if !redis_is_here() {
        return;
    }
    let redis = Redis::start();
    let mut spec = spec(Servers::Single(Address::Unix(redis.socket())));
    spec.database = 3;
    with(spec, async |store: Arc<Store>| {
        assert!(one(&store, "k", bucket(5), 1).await.allowed);
    });
    assert!(redis.keys().is_empty());
    assert_ne!(redis.ask(&["-n", "3", "DBSIZE"]), "0");
}

/// The rights that the documents name are enough, whatever kind of server it is.
#[test]
fn a_user_with_few_rights_may_do_all_that_counting_needs() {
    if !redis_is_here() {
        return;
    }
    let documents = include_str!("../../../../../docs/src/shared-limits.md");
    let password = Some(Secret::new("s3cret"));
    let login = Login { username: Some("gateway".into()), password };
    let counts = |spec: model::Store| {
        with(spec, async |store: Arc<Store>| {
            for key in ["a", "b", "c", "d", "e", "f"] {
                assert!(one(&store, key, bucket(5), 1).await.allowed, "{key}");
            }
            assert!(eventually(|| store.metrics().up.load(std::sync::atomic::Ordering::Relaxed)));
        });
    };
    let redis = Redis::start();
    redis.let_in("gateway", "s3cret");
    counts(model::Store { login: login.clone(), database: 3, ..single(&redis) });
    let told = redis.ask(&["ACL", "LIST"]);
    let user = told.lines().find(|line| line.starts_with("user gateway ")).unwrap();
    for right in user.split(' ').filter(|word| word.starts_with('+')) {
        assert!(documents.contains(&format!(" {right}")), "{right}");
    }
    let cluster = RedisCluster::start();
    cluster.nodes().iter().for_each(|node| node.let_in("gateway", "s3cret"));
    let nodes = cluster.nodes().iter().map(|node| address(&node.address())).collect();
    counts(model::Store { login, ..spec(Servers::Cluster(nodes)) });
}

#[test]
fn sentinels_lead_to_the_new_primary() {
    if !redis_is_here() {
        return;
    }
    let mut watched = Watched::start();
    let sentinel = Servers::Sentinel {
        addresses: vec![address("127.0.0.1:1"), address(&watched.address())],
        primary: "limits".into(),
        login: Login::default(),
        tls: None,
    };
    with(spec(sentinel), async |store: Arc<Store>| {
        assert!(one(&store, "k", bucket(50), 1).await.allowed);
        let [first, second] = watched.servers();
        let second = second.port();
        first.kill();
        assert!(eventually(|| watched.primary() == second), "no failover");
        let asked = [asked("k", bucket(50), 1)];
        for attempt in 0.. {
            if store.take(&asked).await.is_ok_and(|verdicts| verdicts[0].allowed) {
                break;
            }
            assert!(attempt < 400, "it never heals");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
}
