//! `portcullis quickstart`: every line that it prints to be tried is tried, with the real `curl`.
#[cfg(test)]
mod quickstart {
    use std::io::{BufRead, BufReader};
    use std::net::TcpListener;
    use std::path::Path;
    use std::process::{Child, ChildStdout, Command, Output, Stdio};

    /// A quickstart that runs, and what it has printed.
    struct Quickstart {
        process: Child,
        /// Where the access log goes on.
        stdout: BufReader<ChildStdout>,
        text: String,
    }

    impl Quickstart {
        fn start(address: &str) -> Quickstart {
            let mut process = Command::new(env!("CARGO_BIN_EXE_portcullis"))
                .args(["quickstart", "--address", address, "--admin", "127.0.0.1:0"])
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let mut stdout = BufReader::new(process.stdout.take().unwrap());
            let mut text = String::new();
            while !text.contains("Ctrl-C") {
                assert_ne!(stdout.read_line(&mut text).unwrap(), 0, "it ended:\n{text}");
            }
            Quickstart { process, stdout, text }
        }

        /// What stands between two lines.
        fn between(&self, start: &str, end: &str) -> &str {
            let (_, rest) = self.text.split_once(start).unwrap();
            rest.split_once(end).unwrap().0
        }

        /// Each line to try, with the status that it promises.
        fn tries(&self) -> Vec<(u16, &str)> {
            self.text
                .lines()
                .filter_map(|line| {
                    let (status, command) = line.trim().split_once("  ")?;
                    Some((status.parse().ok()?, command)).filter(|_| command.starts_with("curl "))
                })
                .collect()
        }

        /// Runs the line to try that contains `part`; its status and all that it printed.
        fn run(&self, part: &str) -> String {
            let mut tries = self.tries().into_iter();
            let (status, line) = tries.find(|(_, line)| line.contains(part)).unwrap();
            run(status, line)
        }

        /// Waits for a line of the access log that contains `part`.
        fn line_with(&mut self, part: &str) {
            let mut line = String::new();
            while !line.contains(part) {
                line.clear();
                assert_ne!(self.stdout.read_line(&mut line).unwrap(), 0);
            }
        }
    }

    impl Drop for Quickstart {
        fn drop(&mut self) {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }

    /// What `curl` is in the shell: it tells the status of each reply apart from the rest.
    const CURL: &str = "curl() { command curl \"$@\" --silent --show-error \
                        --write-out '%{stderr}status %{http_code}\\n'; }";

    /// Runs a line in a shell, and checks the status that the server answers with, each time.
    #[track_caller]
    fn run(status: u16, line: &str) -> String {
        let Output { stdout, stderr, .. } = shell(&format!("{CURL}\n{line}"));
        let text = String::from_utf8(stdout).unwrap();
        let errors = String::from_utf8(stderr).unwrap();
        let expected = format!("status {status}");
        let as_expected = errors.lines().all(|line| line == expected);
        assert!(!errors.is_empty() && as_expected, "{line}\n{text}{errors}");
        text
    }

    fn shell(line: &str) -> Output {
        Command::new("sh").args(["-c", line]).output().unwrap()
    }

    #[test]
    fn every_line_to_try_does_what_it_promises() {
        let quickstart = Quickstart::start("127.0.0.1:0");
        let tries = quickstart.tries();
        assert!(tries.len() >= 10, "{}", quickstart.text);
        for (status, line) in tries {
            run(status, line);
        }
    }

    #[test]
    fn what_the_lines_show_is_true() {
        let mut quickstart = Quickstart::start("127.0.0.1:0");
        assert!(quickstart.run("/hello").contains("\"path\": \"/hello\""));
        for _ in 0..3 {
            assert!(quickstart.run("canary").contains("hello-2"));
        }
        assert!(quickstart.run("/users/7").contains("\"path\": \"/v1/accounts/7\""));
        assert!(quickstart.run("DELETE").contains("Allow: GET, HEAD"));
        assert!(quickstart.run("/nothing").contains("application/problem+json"));
        assert!(quickstart.run("/old/").contains("Location: /users/7?a=b"));
        assert_eq!(quickstart.run("/echo"), "open sesame");
        assert_eq!(quickstart.run("/stream").matches("data: hello from").count(), 5);
        assert!(quickstart.run("/metrics").contains("portcullis_"));

        // And each request has left a line.
        quickstart.line_with("\"route\":\"stream\"");
    }

    #[test]
    fn who_may_call_shows_in_the_printed_calls() {
        let mut quickstart = Quickstart::start("127.0.0.1:0");
        let refused = quickstart.run("/user/info");
        for expected in [
            "HTTP/1.1 401",
            "WWW-Authenticate: Bearer realm=\"portcullis\"",
            "WWW-Authenticate: ApiKey realm=\"portcullis\"",
            "application/problem+json",
        ] {
            assert!(refused.contains(expected), "{refused}");
        }
        let with_token = quickstart.run("Bearer");
        assert!(with_token.contains("\"x-user\": \"ann\""), "{with_token}");
        assert!(!with_token.contains("authorization"), "{with_token}");
        let with_key = quickstart.run("x-api-key");
        assert!(with_key.contains("\"path\": \"/user/info\""), "{with_key}");
        assert!(!with_key.contains("pk_"), "{with_key}");
        quickstart.line_with("\"consumer\":\"demo\"");

        // What was made for another run is worth nothing.
        let other = Quickstart::start("127.0.0.1:0");
        let address = |of: &Quickstart| of.between("gateway   ", "\n").to_owned();
        let tries = other.tries();
        for part in ["Bearer", "x-api-key"] {
            let (_, line) = tries.iter().find(|(_, line)| line.contains(part)).unwrap();
            run(401, &line.replace(&address(&other), &address(&quickstart)));
        }
    }

    /// The number after `name` in a field of the reply.
    fn number(reply: &str, field: &str, name: &str) -> u64 {
        let line = reply.lines().find(|line| line.starts_with(field)).unwrap();
        let (_, rest) = line.split_once(&format!(";{name}=")).unwrap();
        rest.split(';').next().unwrap().trim().parse().unwrap()
    }

    #[test]
    fn the_limit_shows_in_the_printed_calls_and_is_no_hindrance() {
        let quickstart = Quickstart::start("127.0.0.1:0");
        for part in ["-i http", "/hello", "/old/", "/slow"] {
            let reply = quickstart.run(part);
            assert_eq!(number(&reply, "RateLimit-Policy:", "q"), 10_000, "{reply}");
            assert_eq!(number(&reply, "RateLimit-Policy:", "w"), 60);
        }
        let left = |reply: String| number(&reply, "RateLimit:", "r");
        let (before, after) = (left(quickstart.run("/hello")), left(quickstart.run("/hello")));
        assert!(after < before && after > 9_900, "{before}, then {after}");
    }

    /// The printed line that shows who answers, as often as it stands there.
    const SIX: &str = "?[1-6]";

    fn answered_by(quickstart: &Quickstart) -> [usize; 2] {
        let text = quickstart.run(SIX);
        assert_eq!(text.matches("HTTP/1.1 200").count(), 6, "{text}");
        ["hello-1", "hello-2"].map(|name| text.matches(name).count())
    }

    #[test]
    fn instances_take_turns_and_when_one_is_stopped_nothing_fails() {
        let quickstart = Quickstart::start("127.0.0.1:0");
        assert_eq!(answered_by(&quickstart), [3, 3]);
        let stop = "/instance";
        assert_eq!(quickstart.run(stop), "hello-1 has stopped.\n");
        assert_eq!(answered_by(&quickstart), [0, 6]);
        for (status, line) in quickstart.tries() {
            if !line.contains(stop) {
                run(status, line);
            }
        }
        let tries = quickstart.tries();
        let (_, line) = tries.iter().find(|(_, line)| line.contains(stop)).unwrap();
        assert_eq!(shell(line).status.code(), Some(7), "it still listens");
    }

    #[test]
    fn stopping_an_instance_fails_no_request_under_way() {
        let quickstart = Quickstart::start("127.0.0.1:0");
        let tries = quickstart.tries();
        let (_, line) = tries.iter().find(|(_, line)| line.contains(SIX)).unwrap();
        let line = line.split_once(" |").unwrap().0.replace(SIX, "?[1-2000]");
        let mut load = Command::new("sh")
            .args(["-c", &format!("exec {line} --output /dev/null --write-out '%{{http_code}}\n'")])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let statuses = BufReader::new(load.stdout.take().unwrap()).lines();
        let mut seen = 0;
        for status in statuses.map(Result::unwrap) {
            assert_eq!(status, "200", "request {seen}");
            seen += 1;
            if seen == 500 {
                quickstart.run("/instance");
            }
        }
        assert!(load.wait().unwrap().success());
        assert_eq!(seen, 2000);
    }

    #[test]
    fn the_printed_configuration_explains_the_printed_request() {
        let quickstart = Quickstart::start("127.0.0.1:0");
        let config = quickstart.between("runs with:\n", "Try in another terminal");
        let line =
            quickstart.text.lines().find(|line| line.contains("portcullis explain")).unwrap();
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("quickstart");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("gateway.yaml"), config).unwrap();
        let explained = Command::new("sh").args(["-c", line]).current_dir(folder).output().unwrap();
        let text = String::from_utf8(explained.stdout).unwrap();
        assert!(explained.status.success() && text.contains("user (gateway.yaml:"), "{text}");
    }

    #[test]
    fn a_taken_address_is_replaced_and_an_interrupt_ends_it() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let mut quickstart = Quickstart::start(&address);
        assert!(quickstart.text.contains(&format!("{address} is in use")), "{}", quickstart.text);
        quickstart.run("/hello");

        shell(&format!("kill -INT {}", quickstart.process.id()));
        assert!(quickstart.process.wait().unwrap().success());
    }
}
