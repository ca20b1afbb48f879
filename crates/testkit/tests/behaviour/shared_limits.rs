//! Limits that several nodes share over Redis, from the scripts to whole gateways. Without
//! `redis-server` these tests are skipped, unless `PORTCULLIS_PEERS=required`.

mod absences;
mod gateways;
mod leases;
mod scripts;
mod slowness;

use portcullis_testkit::redis::Redis;
use portcullis_testkit::{Config, Gateway, Origin};

/// A gateway with a limit by the header `k` on its one route, which counts in a store.
fn gateway(origin: &Origin, policy: &str, redis: &str, store: &str) -> Gateway {
    Gateway::start(&config(origin, policy, redis, store))
}

fn config(origin: &Origin, policy: &str, redis: &str, store: &str) -> Config {
    Config::before(origin)
        .route(&format!("policies: [{{ {policy} }}]"))
        .also(&format!("stores: {{ limits: {{ redis: {{ {redis} }}, {store} }} }}"))
}

fn address(redis: &Redis) -> String {
    format!("address: \"{}\"", redis.address())
}

/// The status of a request with this key.
fn ask(gateway: &Gateway, key: &str) -> u16 {
    gateway.ask(request(key)).status
}

fn request(key: &str) -> String {
    format!("GET /{key} HTTP/1.1\r\nHost: a.example\r\nk: {key}\r\n\r\n")
}

fn origin() -> Origin {
    Origin::echo()
}
