//! What has been counted outlives a change of the configuration, and quotas the process.

use portcullis_testkit::{Config, Gate, Gateway, Origin, TempDir, eventually};

use super::{ask, asked};

fn config(origin: &Origin, policies: &str) -> Config {
    Config::before(origin).route(&format!("policies: [{policies}]")).also("state: off")
}

fn left(gateway: &Gateway, key: &str) -> (u16, u64) {
    let reply = ask(&mut gateway.client(), key);
    let told = reply.field("ratelimit").unwrap_or_default().to_owned();
    let left = told.split(";r=").nth(1).unwrap_or("").split(';').next().unwrap_or("").to_owned();
    (reply.status, left.parse().unwrap_or(0))
}

#[test]
fn a_reload_resets_nothing() {
    let origin = Origin::echo();
    for (kind, more) in [
        ("rate_limit", "per: 1d"),
        ("rate_limit", "per: 1d, algorithm: sliding_window"),
        ("quota", "per: month"),
    ] {
        let policy =
            |limit: u32| format!("{kind}: {{ by: {{ header: x-key }}, limit: {limit}, {more} }}");
        let gateway = Gateway::start(&config(&origin, &policy(3)));
        for expected in [(200, 2), (200, 1)] {
            assert_eq!(left(&gateway, "a"), expected, "{kind} {more}");
        }
        // Another part of the configuration changes, and then the limit itself.
        gateway.write_config(&config(&origin, &policy(3)).route("priority: 1"));
        assert_eq!(gateway.reload().status, 200);
        assert_eq!(left(&gateway, "a"), (200, 0), "{kind} {more}");
        assert_eq!(left(&gateway, "a").0, 429, "{kind} {more}");
        gateway.write_config(&config(&origin, &policy(5)));
        assert_eq!(gateway.reload().status, 200);
        assert_eq!(left(&gateway, "a"), (200, 1), "{kind} {more}");
        gateway.write_config(&config(&origin, &policy(2)));
        assert_eq!(gateway.reload().status, 200);
        assert_eq!(left(&gateway, "a").0, 429, "{kind} {more}");
        assert_eq!(left(&gateway, "b"), (200, 1), "{kind} {more}");
    }
}

#[test]
fn a_reload_leaves_places_taken() {
    let gate = Gate::new();
    let opener = gate.clone();
    let origin = Origin::with(move |served| {
        while served.request().is_some() {
            gate.pass();
            served.reply("done");
        }
    });
    let policy = |limit: u32| format!("concurrency: {{ limit: {limit} }}");
    let gateway = Gateway::start(&config(&origin, &policy(1)));
    let mut held = gateway.client();
    held.send(asked("a"));
    assert!(eventually(|| origin.requests().len() == 1));
    gateway.write_config(&config(&origin, &policy(2)));
    assert_eq!(gateway.reload().status, 200);
    let mut second = gateway.client();
    second.send(asked("a"));
    assert!(eventually(|| origin.requests().len() == 2));
    assert_eq!(left(&gateway, "a"), (429, 0));
    opener.open();
    opener.open();
    assert_eq!((held.reply().status, second.reply().status), (200, 200));
}

#[test]
fn quotas_survive_a_restart_and_a_kill() {
    let origin = Origin::echo();
    let folder = TempDir::new();
    let state = folder.join("state");
    let config = Config::before(&origin)
        .route("policies: [quota: { name: monthly, by: { header: x-key }, limit: 10, per: month, time_zone: Europe/Berlin }]")
        .also(&format!("state: {:?}", state.display().to_string()));
    let gateway = Gateway::start(&config);
    for expected in (5..10).rev() {
        assert_eq!(left(&gateway, "a"), (200, expected));
    }
    // A stop writes the last counts at once.
    gateway.stop();
    let gateway = Gateway::start(&config);
    // A kill loses only what has not been written down yet.
    let database = state.join("quotas.db-wal");
    let size = || std::fs::metadata(&database).map_or(0, |file| file.len());
    for expected in [4, 3] {
        let before = size();
        assert_eq!(left(&gateway, "a"), (200, expected));
        assert!(eventually(|| size() > before));
    }
    gateway.kill();
    let gateway = Gateway::start(&config);
    // The file grows before what is written counts, so the last request may be lost and no more.
    assert!(matches!(left(&gateway, "a"), (200, 2 | 3)));
    assert_eq!(left(&gateway, "b"), (200, 9));
}

#[test]
fn a_folder_that_cannot_be_used_is_told_before_anything_is_served() {
    let origin = Origin::echo();
    let config = Config::before(&origin)
        .route("policies: [quota: { limit: 10, per: month }]")
        .also("state: /proc/nowhere");
    let gateway = Gateway::start(&Config::before(&origin));
    gateway.write_config(&config);
    let reply = gateway.reload();
    assert_eq!(reply.status, 422);
    assert!(reply.text().contains("quotas cannot be kept"), "{}", reply.text());
    assert_eq!(gateway.get("/").status, 200);
}
