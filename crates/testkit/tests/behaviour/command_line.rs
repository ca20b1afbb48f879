//! The commands beside `run`, as a shell sees them.

use std::process::Output;

use portcullis_testkit::{Config, TempDir, run_command};

const GOOD: &str = "listeners:\n  web: { address: \"127.0.0.1:0\" }\n\
    services:\n  users: { endpoints: [\"127.0.0.1:1\"] }\n\
    routes:\n  user: { match: { host: api.example, path: \"/user/{id}\" }, service: users }\n  \
    rest: { match: { path: \"/{*rest}\" }, service: users }\n";

fn run(arguments: &[&str], config: &str) -> Output {
    let dir = TempDir::new();
    dir.write("gateway.yaml", config);
    run_command(arguments, dir.path())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn check_says_by_its_exit_status_whether_a_configuration_can_be_used() {
    let good = run(&["check", "--config", "gateway.yaml"], GOOD);
    assert_eq!(good.status.code(), Some(0), "{}", text(&good.stderr));

    let two_faults =
        GOOD.replace("service: users", "servce: users").replace("endpoints:", "endpoint:");
    let bad = run(&["check", "--config", "gateway.yaml"], &two_faults);
    assert_eq!(bad.status.code(), Some(1));
    let report = text(&[bad.stdout, bad.stderr].concat());
    for part in ["gateway.yaml:4:", "gateway.yaml:6:", "endpoints", "service"] {
        assert!(report.contains(part), "{part:?} in:\n{report}");
    }
    assert_eq!(run(&["check", "--config", "missing.yaml"], GOOD).status.code(), Some(1));
}

#[test]
fn run_refuses_a_bad_configuration() {
    let bad = run(
        &["run", "--config", "gateway.yaml"],
        &GOOD.replace("service: users", "service: nobody"),
    );
    assert_eq!(bad.status.code(), Some(1));
    assert!(text(&bad.stderr).contains("nobody"), "{}", text(&bad.stderr));
}

#[test]
fn run_says_when_an_address_is_taken() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let config = Config::before_address("127.0.0.1:1").address(&address).also("admin: off");
    let output = run(&["run", "--config", "gateway.yaml"], &config.to_string());
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains(&address), "{}", text(&output.stderr));
}

#[test]
fn explain_names_the_route_and_what_lost() {
    let explained =
        run(&["explain", "--config", "gateway.yaml", "GET", "http://api.example/user/7"], GOOD);
    assert_eq!(explained.status.code(), Some(0), "{}", text(&explained.stderr));
    let said = text(&explained.stdout);
    for part in ["user", "rest", "users", "127.0.0.1:1"] {
        assert!(said.contains(part), "{part:?} in:\n{said}");
    }
}

#[test]
fn reload_says_when_there_is_no_gateway() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let output = run(&["reload", "--admin", &nobody.to_string()], GOOD);
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn schema_is_json() {
    let output = run(&["schema"], GOOD);
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(schema["properties"]["listeners"].is_object());
}

#[test]
fn version_and_help_tell_what_they_are_asked() {
    assert!(text(&run(&["version"], GOOD).stdout).contains(env!("CARGO_PKG_VERSION")));
    let help = text(&run(&["--help"], GOOD).stdout);
    for command in ["run", "check", "explain", "reload", "schema", "quickstart", "version"] {
        assert!(help.contains(command), "{command}");
    }
}

#[test]
fn a_configuration_may_be_yaml_json_toml_or_a_folder() {
    let dir = TempDir::new();
    dir.write(
        "gateway.json",
        r#"{"listeners": {"web": {"address": "127.0.0.1:0"}},
            "services": {"users": {"endpoints": ["127.0.0.1:1"]}},
            "routes": {"user": {"match": {"path": "/user/{id}"}, "service": "users"}}}"#,
    );
    dir.write(
        "gateway.toml",
        "[listeners.web]\naddress = \"127.0.0.1:0\"\n[services.users]\n\
         endpoints = [\"127.0.0.1:1\"]\n[routes.user]\nmatch = { path = \"/user/{id}\" }\n\
         service = \"users\"\n",
    );
    std::fs::create_dir(dir.join("folder")).unwrap();
    dir.write("folder/listeners.yaml", "listeners:\n  web: { address: \"127.0.0.1:0\" }\n");
    dir.write("folder/services.toml", "[services.users]\nendpoints = [\"127.0.0.1:1\"]\n");
    dir.write(
        "folder/routes.json",
        r#"{"routes": {"user": {"match": {"path": "/user/{id}"}, "service": "users"}}}"#,
    );
    for config in ["gateway.json", "gateway.toml", "folder"] {
        let output = run_command(&["explain", "--config", config, "GET", "/user/7"], dir.path());
        assert_eq!(output.status.code(), Some(0), "{config}: {}", text(&output.stderr));
        assert!(text(&output.stdout).contains("user"), "{config}: {}", text(&output.stdout));
    }
}

#[test]
fn check_refuses_limits_that_would_not_be_kept() {
    let check = |limits: &str| {
        let listener = format!("address: \"127.0.0.1:0\", limits: {limits}");
        let config = GOOD.replace("address: \"127.0.0.1:0\"", &listener);
        let output = run(&["check", "--config", "gateway.yaml"], &config);
        (output.status.code(), text(&[output.stdout, output.stderr].concat()))
    };
    for (limits, expected) in [
        ("{ fields: 257 }", "256"),
        ("{ uri: 32KiB }", "63KiB"),
        ("{ head: 56KiB }", "63KiB"),
        ("{ uri: 40KiB, head: 24KiB }", "63KiB"),
    ] {
        let (code, report) = check(limits);
        assert_eq!(code, Some(1), "{limits}: {report}");
        assert!(report.contains("gateway.yaml:2:") && report.contains(expected), "{report}");
    }
    for limits in ["{ fields: 256 }", "{ uri: 31KiB, head: 32KiB }", "{ head: 55KiB }"] {
        let (code, report) = check(limits);
        assert_eq!(code, Some(0), "{limits}: {report}");
    }
}

#[test]
fn check_warns_of_a_group_that_nobody_defines() {
    let config = format!(
        "{GOOD}groups: {{ staff: {{}} }}\npolicies:\n  - access: {{ allow: [{{ group: stuff }}] }}\n"
    );
    let checked = run(&["check", "--config", "gateway.yaml"], &config);
    let told = text(&[checked.stdout, checked.stderr].concat());
    assert_eq!(checked.status.code(), Some(0), "{told}");
    for part in ["there is no group `stuff`", "did you mean `staff`?", "gateway.yaml:10:"] {
        assert!(told.contains(part), "{part:?} in:\n{told}");
    }
}
