//! Every reason, metric and log field that the gateway has is in the docs, and none that it has not.
#[cfg(test)]
mod vocabulary {
    use std::fs;
    use std::net::{IpAddr, Ipv4Addr};
    use std::path::Path;
    use std::sync::Arc;
    use std::time::{Duration, SystemTime};

    use portcullis_core::failure::REASONS;
    use portcullis_core::metrics::WorkerMetrics;
    use portcullis_core::tls::HANDSHAKE_FAULTS;
    use portcullis_core::{
        ConnectionEvent, Failure, HandshakeEvent, RequestEvent, RequestIds, ToldClaims,
    };
    use portcullis_telemetry::{PolicyFacts, ProcessFacts, Scrape, StoreFact};

    fn read(path: &str) -> String {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
        fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// The object in the block of this number on a page, from 0.
    fn sample(page: &str, block: usize) -> serde_json::Value {
        let text = page.split("```").nth(2 * block + 1).unwrap();
        serde_json::from_str(text.split_once('\n').unwrap().1).unwrap()
    }

    #[test]
    fn every_reason_is_described_with_its_status() {
        let page = read("docs/src/errors.md");
        for reason in REASONS {
            let row = format!("| `{}` | {} |", reason.code(), reason.status());
            assert!(page.contains(&row), "{row}");
        }
        let rows = page.lines().filter(|line| line.starts_with("| `")).count();
        assert_eq!(rows, REASONS.len());
        assert!(read("README.md").contains(&format!("[{} reasons]", REASONS.len())));
    }

    #[test]
    fn every_metric_is_described() {
        let page = read("docs/src/metrics.md");
        let mut scraped = String::new();
        let logins = portcullis_core::LoginCounts::default();
        let scrape = Scrape {
            workers: &[Arc::new(WorkerMetrics::default())],
            routes: Vec::new(),
            tcp_routes: Vec::new(),
            policies: PolicyFacts { logins: Some(&logins), ..PolicyFacts::default() },
            issuers: vec![portcullis_telemetry::IssuerFact {
                name: "i",
                age: Some(1),
                ..Default::default()
            }],
            stores: vec![StoreFact { name: "limits", ..StoreFact::default() }],
            expiries: Vec::new(),
            services: Vec::new(),
            process: ProcessFacts {
                version: "0",
                started: SystemTime::UNIX_EPOCH,
                config_revision: 1,
                last_reload_success: true,
                last_reload: SystemTime::UNIX_EPOCH,
                reloads_ok: 0,
                reloads_failed: 0,
                listeners: 1,
                routes_configured: 1,
                tcp_routes_configured: 0,
                services_configured: 1,
                log_lines_unwritten: 0,
            },
        };
        scrape.render(&mut scraped);
        let families: Vec<&str> = scraped
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
            .collect();
        assert!(families.len() > 20, "{families:?}");
        for family in &families {
            assert!(page.contains(&format!("`{family}`")), "{family}");
        }
        // And none that is not there.
        for named in page.split('`').filter(|word| {
            (word.starts_with("portcullis_") || word.starts_with("process_")) && !word.contains(' ')
        }) {
            assert!(families.contains(&named), "{named}");
        }
    }

    #[derive(Debug)]
    struct Tenant;

    impl ToldClaims for Tenant {
        fn each(&self, each: &mut dyn FnMut(&str, &[u8])) {
            each("tenant", b"acme");
        }
    }

    #[test]
    fn every_field_of_the_access_log_is_described() {
        let page = read("docs/src/access-log.md");
        let failure = Failure::new(REASONS[0], "detail");
        let event = RequestEvent {
            started: SystemTime::UNIX_EPOCH,
            id: RequestIds::new().draw(),
            listener: "l",
            client: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            client_cert: Some("CN=c"),
            method: b"GET",
            host: b"h",
            path: b"/",
            version: "1.1",
            route: Some("r"),
            service: Some("s"),
            endpoint: Some("e"),
            consumer: Some("shop"),
            credential: Some("pk_2Kb9xYhT"),
            auth: Some("api_key"),
            claims: Some(&Tenant),
            policy: Some("per-client"),
            store_bypassed: Some("local"),
            status: 200,
            bytes_in: 0,
            bytes_out: 0,
            duration: Duration::ZERO,
            first_byte: Some(Duration::ZERO),
            failure: Some(&failure),
            tries: 2,
            fallback: true,
        };
        let mut line = Vec::new();
        event.write_json(&mut line);
        let line: serde_json::Value = serde_json::from_slice(&line).unwrap();
        let fields = line.as_object().unwrap();
        let handshake = HandshakeEvent {
            at: SystemTime::UNIX_EPOCH,
            listener: "l",
            client: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            sni: Some("a.example"),
            client_cert: Some("CN=c"),
            fault: HANDSHAKE_FAULTS[0],
            detail: "detail",
        };
        let mut line = Vec::new();
        handshake.write_json(&mut line);
        let line: serde_json::Value = serde_json::from_slice(&line).unwrap();
        let more = line.as_object().unwrap();
        for fault in HANDSHAKE_FAULTS {
            assert!(read("docs/src/tls.md").contains(&format!("| `{}` |", fault.code())));
        }
        let table: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
        for field in fields.keys().chain(more.keys()) {
            let quoted = format!("`{field}`");
            assert!(table.iter().any(|row| row.contains(&quoted)), "{field}");
        }
        let sample = sample(&page, 1);
        for field in sample.as_object().unwrap().keys() {
            assert!(fields.contains_key(field), "{field} is in no line");
        }
    }

    #[test]
    fn every_field_of_a_connections_line_is_described() {
        let page = read("docs/src/access-log.md");
        let failure = Failure::new(REASONS[0], "detail");
        let event = ConnectionEvent {
            started: SystemTime::UNIX_EPOCH,
            id: RequestIds::new().draw(),
            listener: "l",
            protocol: "tcp",
            client: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            sni: Some("h"),
            tcp_route: Some("r"),
            service: Some("s"),
            endpoint: Some("e"),
            bytes_in: 0,
            bytes_out: 0,
            duration: Duration::ZERO,
            connected: Some(Duration::ZERO),
            failure: Some(&failure),
        };
        let mut line = Vec::new();
        event.write_json(&mut line);
        let line: serde_json::Value = serde_json::from_slice(&line).unwrap();
        let fields = line.as_object().unwrap();
        let table: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
        for field in fields.keys() {
            let quoted = format!("`{field}`");
            assert!(table.iter().any(|row| row.contains(&quoted)), "{field}");
        }
        let sample = sample(&page, 2);
        for field in sample.as_object().unwrap().keys() {
            assert!(fields.contains_key(field), "{field} is in no line");
        }
    }
}
