//! That requests are spread evenly over endpoints whatever falls upon which worker.

use portcullis_testkit::{Config, Gateway, Origin, h2::H2Client};

/// Requests of connections: some have many, most have few.
const UNEVEN: [usize; 9] = [61, 1, 17, 2, 1, 33, 5, 1, 4];

fn five() -> (Vec<Origin>, Config) {
    let origins: Vec<Origin> = (0..5).map(|_| Origin::echo()).collect();
    let (first, others) = origins.split_first().unwrap();
    let config = others.iter().fold(Config::before(first), Config::and);
    (origins, config)
}

fn counts(origins: &[Origin]) -> Vec<usize> {
    origins.iter().map(|origin| origin.requests().len()).collect()
}

/// Sends requests over connections of which each has another number of them, and says how many.
fn uneven_load(gateway: &Gateway) -> usize {
    let mut clients: Vec<_> = UNEVEN.iter().map(|&requests| (gateway.client(), requests)).collect();
    // All connections go on at the same time.
    for round in 0..UNEVEN.into_iter().max().unwrap() {
        for (client, requests) in &mut clients {
            if round < *requests {
                assert_eq!(client.get("/").status, 200);
            }
        }
    }
    UNEVEN.iter().sum()
}

/// Sends requests over one connection of HTTP/2.
fn load_over_one_connection(gateway: &Gateway, requests: usize) -> usize {
    let mut client = H2Client::connect(gateway.address());
    for _ in 0..requests {
        assert_eq!(client.get("/").status, 200);
    }
    requests
}

#[track_caller]
fn assert_even(origins: &[Origin], total: usize, workers: usize, balance: &str) {
    for count in counts(origins) {
        // A worker is off by less than one request an endpoint. With the fewest requests, one that
        // its client has seen answered may still count as under way at another worker.
        let slack = if balance == "least_requests" { total / 10 } else { 0 };
        let off = count.abs_diff(total / 5);
        assert!(off <= workers + slack, "{:?} by {workers} workers, {balance}", counts(origins));
    }
}

#[test]
fn every_endpoint_gets_its_share_whatever_the_number_of_workers() {
    for workers in [1, 2, 3, 4, 7] {
        for balance in ["round_robin", "least_requests"] {
            let (origins, config) = five();
            let config = config.service(&format!("balance: {balance}"));
            let gateway = Gateway::start(&config.also(&format!("workers: {workers}")));
            let mut total = uneven_load(&gateway);
            assert_even(&origins, total, workers, balance);
            total += load_over_one_connection(&gateway, 83);
            assert_even(&origins, total, workers, balance);
        }
    }
}

#[test]
fn many_connections_of_one_request_each_are_even_too() {
    let (origins, config) = five();
    let gateway = Gateway::start(&config.also("workers: 4"));
    for _ in 0..120 {
        assert_eq!(gateway.get("/").status, 200);
    }
    assert_even(&origins, 120, 4, "round_robin");
}

#[test]
fn weights_hold_over_all_workers() {
    let (a, b) = (Origin::echo(), Origin::echo());
    let config = Config::before(&a).to_string().replace(
        &format!("[\"{}\"]", a.address()),
        &format!("[{{ address: \"{}\", weight: 3 }}, \"{}\"]", a.address(), b.address()),
    );
    let gateway = Gateway::start(&format!("{config}workers: 3\n"));
    let total = uneven_load(&gateway);
    let light = b.requests().len();
    assert!(light.abs_diff(total / 4) <= 3, "{light} of {total}");
}

#[test]
fn a_reload_goes_on_with_the_turns() {
    let (origins, config) = five();
    let gateway = Gateway::start(&config);
    for round in 0..20 {
        assert_eq!(gateway.get("/").status, 200);
        let more = format!("timeouts: {{ stall: {}s }}", 30 + round);
        gateway.write_config(&config.clone().service(&more));
        assert_eq!(gateway.reload().status, 200);
    }
    assert_eq!(counts(&origins), [4; 5]);
}
