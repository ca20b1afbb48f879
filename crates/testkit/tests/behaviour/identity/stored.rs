//! Consumers of a store: keys that the command line makes are taken by a running gateway.

use std::process::Output;

use portcullis_testkit::{Config, Gateway, Origin, eventually, run_command};

use super::{ask, key};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn config(origin: &Origin) -> Config {
    Config::before(origin)
        .route("policies: [api_key: {}]")
        .also("credentials: { secret: 0123456789abcdef0123456789abcdef, store: consumers.db }")
        .also("plans: { small: { policies: [rate_limit: { limit: 2, per: 1h }] } }")
        .also("groups: { partners: {} }")
}

#[test]
fn keys_are_made_listed_and_revoked_while_the_gateway_runs() {
    let origin = Origin::echo();
    let gateway = Gateway::start(&config(&origin));
    let path = gateway.config_path();
    let run = |arguments: &[&str]| -> Output {
        let arguments = [arguments, &["--config", path.to_str().unwrap()]].concat();
        run_command(&arguments, gateway.dir().path())
    };
    let made = run(&[
        "key",
        "create",
        "shop",
        "--plan",
        "small",
        "--group",
        "partners",
        "--expires",
        "9d",
    ]);
    assert!(made.status.success(), "{}", text(&made.stderr));
    let key = text(&made.stdout).trim().to_owned();
    assert!(key.starts_with("pk_") && key.len() == 50, "{key}");
    let prefix = &key[..11];
    assert!(text(&made.stderr).contains(prefix) && !text(&made.stderr).contains(&key));

    let status = || ask(&mut gateway.client(), &format!("X-API-Key: {key}\r\n")).status;
    assert!(eventually(|| status() == 200));
    // Its plan counts.
    assert!(eventually(|| status() == 429));
    let second = text(&run(&["key", "create", "shop"]).stdout).trim().to_owned();
    assert!(eventually(|| {
        ask(&mut gateway.client(), &format!("X-API-Key: {second}\r\n")).status == 429
    }));

    let listed = text(&run(&["key", "list", "shop"]).stdout);
    assert_eq!(listed.lines().count(), 3, "{listed}");
    assert!(listed.contains(prefix) && listed.matches("live").count() == 2, "{listed}");
    assert!(!listed.contains(&key[12..]));
    let revoked = run(&["key", "revoke", prefix]);
    assert!(revoked.status.success(), "{}", text(&revoked.stderr));
    assert!(eventually(|| status() == 401));
    let listed = text(&run(&["key", "list"]).stdout);
    assert!(listed.contains("revoked"), "{listed}");
    for wrong in [
        &["key", "revoke", "pk_12345678"][..],
        &["key", "create", "shop", "--plan", "gold"],
        &["key", "create", "a b"],
        &["key", "create", "shop", "--expires", "2001-01-01"],
        &["key", "create", "shop", "--expires", "soon"],
    ] {
        assert_eq!(run(wrong).status.code(), Some(1), "{wrong:?}");
    }

    // What is in the store is there again after a restart, and the last use of keys with it.
    gateway.signal("TERM");
    let dir = gateway.dir().path().to_owned();
    assert!(eventually(|| {
        let listed = run_command(&["key", "list", "--config", path.to_str().unwrap()], &dir);
        text(&listed.stdout)
            .lines()
            .any(|line| line.contains(prefix) && line.matches("Z ").count() == 3)
    }));
}

#[test]
fn without_a_store_a_key_is_for_the_configuration() {
    let origin = Origin::echo();
    let config = Config::before(&origin)
        .route("policies: [api_key: {}]")
        .also("credentials: { secret: 0123456789abcdef0123456789abcdef }");
    let gateway = Gateway::start(&config);
    let path = gateway.config_path();
    let arguments =
        ["key", "create", "shop", "--expires", "9d", "--config", path.to_str().unwrap()];
    let made = run_command(&arguments, gateway.dir().path());
    let (key, said) = (text(&made.stdout).trim().to_owned(), text(&made.stderr));
    let from = said.find("consumers:").unwrap();
    let upto = said.find("The key, shown once").unwrap();
    gateway.write_config(&config.also(&said[from..upto]));
    assert_eq!(gateway.reload().status, 200);
    assert_eq!(ask(&mut gateway.client(), &format!("X-API-Key: {key}\r\n")).status, 200);
}

#[test]
fn what_the_configuration_says_of_a_consumer_counts_for_keys_of_the_store() {
    let origin = Origin::echo();
    let (_, kept) = key();
    let config = config(&origin).also(&format!(
        "consumers: {{ shop: {{ keys: [{{ {kept} }}], \
         policies: [rate_limit: {{ limit: 7, per: 1h }}] }} }}"
    ));
    let gateway = Gateway::start(&config);
    let path = gateway.config_path();
    let arguments = ["key", "create", "shop", "--config", path.to_str().unwrap()];
    let key = text(&run_command(&arguments, gateway.dir().path()).stdout).trim().to_owned();
    let told = || {
        let reply = ask(&mut gateway.client(), &format!("X-API-Key: {key}\r\n"));
        reply.field("ratelimit-policy").map(str::to_owned)
    };
    assert!(eventually(|| told().as_deref() == Some("\"rate_limit\";q=7;w=3600")));
}

#[test]
fn a_store_that_cannot_be_used_is_told_and_nothing_starts() {
    let origin = Origin::echo();
    let dir = portcullis_testkit::TempDir::new();
    dir.write("consumers.db", "this is no database, and long enough to be taken for a broken one");
    dir.write("gateway.yaml", config(&origin).to_string());
    let output = run_command(&["run", "--config", "gateway.yaml"], dir.path());
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stderr);
    assert!(told.contains("consumers cannot be read from"), "{told}");
}
