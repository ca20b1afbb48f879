//! A new binary that cannot serve changes nothing.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use portcullis_testkit::{Config, Gateway, Load, Origin, Starting};

use super::{assert_whole, started};

/// Breaks the new process in some way, upgrades, and checks that all is as before.
fn fails(break_it: impl Fn(&Gateway), reason: &str) {
    let (gateway, _origin) = started("workers: 2\nupgrade: { timeout: 500ms }");
    let kept = Load::start(gateway.address(), "/", 2);
    let anew = Load::start_anew(gateway.address(), "/", 2);
    anew.wait_for_more(20);
    break_it(&gateway);
    for _ in 0..2 {
        let told = gateway.failed_upgrade();
        assert!(told.contains(reason), "{told}");
        anew.wait_for_more(20);
    }
    assert_whole(kept);
    assert_whole(anew);
    gateway.wait_for_log(reason);
    assert_eq!(gateway.admin("GET", "/readyz").status, 200);
    gateway.stop();
}

#[test]
fn one_that_is_missing() {
    fails(|gateway| fs::remove_file(gateway.program_path()).unwrap(), "cannot be started");
}

#[test]
fn one_that_is_not_executable() {
    fails(
        |gateway| {
            gateway.replace_program("#!/bin/sh\n");
            let path = gateway.program_path();
            fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
        },
        "Permission denied",
    );
}

#[test]
fn one_that_is_no_program() {
    fails(|gateway| gateway.replace_program("\u{1}garbage"), "cannot be started");
}

#[test]
fn one_that_ends_at_once() {
    fails(|gateway| gateway.replace_program("#!/bin/sh\nexit 0\n"), "exit status: 0");
}

#[test]
fn one_that_crashes() {
    fails(|gateway| gateway.replace_program("#!/bin/sh\nkill -SEGV $$\n"), "signal: 11");
}

#[test]
fn one_that_hangs() {
    fails(
        |gateway| gateway.replace_program("#!/bin/sh\nexec sleep 1000\n"),
        "it was not ready within 500ms",
    );
}

#[test]
fn one_that_says_what_nobody_understands() {
    fails(
        |gateway| gateway.replace_program("#!/bin/sh\necho hello >&0\nexec sleep 1000\n"),
        "this is no message",
    );
}

#[test]
fn one_with_a_configuration_that_is_wrong() {
    fails(|gateway| gateway.write_config(&"listeners: {}\n"), "there is no listener");
}

#[test]
fn one_with_a_listener_whose_address_is_taken() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    fails(
        |gateway| {
            let two = format!("listeners:\n  two: {{ address: \"{address}\" }}\n");
            let config = Config::before_address("127.0.0.1:1").to_string();
            gateway.write_config(&config.replace("listeners:\n", &two));
        },
        "Address already in use",
    );
}

#[test]
fn the_first_process_of_a_container_does_not_hand_over() {
    let unshare = ["unshare", "--pid", "--fork", "--kill-child"];
    let may = Command::new(unshare[0]).args(&unshare[1..]).arg("true").status();
    if !may.is_ok_and(|status| status.success()) {
        return;
    }
    let origin = Origin::echo();
    let gateway = Starting::new(&Config::before(&origin)).replaceable().through(unshare).start();
    assert!(gateway.failed_upgrade().contains("process 1 of a container"));
    assert_eq!(gateway.get("/").status, 200);
}

#[test]
fn after_failures_an_upgrade_may_succeed() {
    let (gateway, _origin) = started("");
    gateway.replace_program("#!/bin/sh\nexit 3\n");
    let _ = gateway.failed_upgrade();
    gateway.restore_program();
    assert_ne!(gateway.upgrade(), gateway.pid());
    assert_eq!(gateway.get("/").status, 200);
}
