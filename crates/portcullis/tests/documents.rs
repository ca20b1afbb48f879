//! What README, docs and examples say is held against the program: every configuration in them
//! works, and every command, option, key and default is in them.
#[cfg(test)]
mod documents {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::process::Command;
    use std::sync::Arc;

    use portcullis_config::model::Config;
    use portcullis_config::{Format, Loader};
    use portcullis_proxy::Compiler;

    /// Fewer blocks than this mean that they are not found, not that there are none.
    const FEWEST_BLOCKS: usize = 20;

    fn root() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
    }

    fn read(path: &str) -> String {
        fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    fn files(folder: &str) -> Vec<String> {
        let entries = fs::read_dir(root().join(folder)).unwrap();
        let mut files: Vec<String> = entries
            .map(|entry| format!("{folder}/{}", entry.unwrap().file_name().to_str().unwrap()))
            .collect();
        files.sort();
        files
    }

    /// README and the pages of the book.
    fn pages() -> Vec<String> {
        let mut pages = files("docs/src");
        pages.retain(|file| file.ends_with(".md"));
        pages.push("README.md".to_owned());
        pages
    }

    /// A fenced block of a page.
    struct Block {
        /// Where it begins, as `page:line`.
        place: String,
        info: String,
        text: String,
    }

    fn blocks(page: &str) -> Vec<Block> {
        let text = read(page);
        let mut blocks: Vec<Block> = Vec::new();
        let mut inside = false;
        for (number, line) in (1..).zip(text.lines()) {
            match line.strip_prefix("```") {
                Some(info) if !inside => blocks.push(Block {
                    place: format!("{page}:{number}"),
                    info: info.to_owned(),
                    text: String::new(),
                }),
                Some(_) => {}
                None if inside => {
                    let block = blocks.last_mut().unwrap();
                    block.text.push_str(line);
                    block.text.push('\n');
                }
                None => continue,
            }
            inside ^= line.starts_with("```");
        }
        assert!(!inside, "{page}: a block does not end");
        blocks
    }

    /// A folder with everything that configurations in the documents name.
    fn folder_of(test: &str) -> PathBuf {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
        fs::create_dir_all(folder.join("tls")).unwrap();
        fs::create_dir_all(folder.join("pages")).unwrap();
        for (name, hosts) in [
            ("api", vec!["api.example.com".to_owned()]),
            ("shop", vec!["example.com".to_owned(), "www.example.com".to_owned()]),
            ("gateway", vec!["gateway.internal".to_owned()]),
        ] {
            let made = rcgen::generate_simple_self_signed(hosts).unwrap();
            fs::write(folder.join(format!("tls/{name}.pem")), made.cert.pem()).unwrap();
            let key = made.signing_key.serialize_pem();
            fs::write(folder.join(format!("tls/{name}-key.pem")), key).unwrap();
            fs::write(folder.join("tls/internal-ca.pem"), made.cert.pem()).unwrap();
        }
        let (authority, list) = authority();
        fs::write(folder.join("tls/clients-ca.pem"), authority).unwrap();
        fs::write(folder.join("tls/clients.crl"), list).unwrap();
        fs::write(folder.join("pages/robots.txt"), "User-agent: *\n").unwrap();
        fs::write(folder.join("motd.txt"), "hello\n").unwrap();
        fs::create_dir_all(folder.join("policies")).unwrap();
        for page in pages() {
            for block in blocks(&page) {
                // A block of a file says which one.
                if let Some((_, file)) = block.info.split_once(" policies/") {
                    fs::write(folder.join("policies").join(file), block.text).unwrap();
                }
            }
        }
        folder
    }

    /// PEM of a certificate authority and of its revocation list.
    fn authority() -> (String, String) {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.key_usages =
            vec![rcgen::KeyUsagePurpose::KeyCertSign, rcgen::KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).unwrap();
        let list = rcgen::CertificateRevocationListParams {
            this_update: rcgen::date_time_ymd(2000, 1, 1),
            next_update: rcgen::date_time_ymd(4000, 1, 1),
            crl_number: rcgen::SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: Vec::new(),
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&rcgen::Issuer::new(params, key)).unwrap();
        (certificate.pem(), list.pem().unwrap())
    }

    /// Loads a configuration as `portcullis check` does; nothing may be wrong or odd with it.
    fn load(folder: &Path, place: &str, extension: &str, text: &str) -> Arc<Config> {
        let name = place.replace(['/', ':', '.'], "-");
        let path = folder.join(name).with_extension(extension);
        fs::write(&path, text).unwrap();
        // Vault has anything.
        let secret = |_: &str| Ok("0123456789abcdef0123456789abcdef".to_owned());
        let loaded = match Loader::new(&path).environment(|_| None).secrets(secret).load() {
            Ok(loaded) => loaded,
            Err(report) => panic!("{place}:\n{report}"),
        };
        assert!(loaded.warnings.is_empty(), "{place}:\n{}", loaded.warnings);
        match Compiler::new(1).compile(&loaded.config, &loaded.changes) {
            Ok(compiled) => {
                assert!(compiled.warnings.is_empty(), "{place}: {:?}", compiled.warnings)
            }
            Err(errors) => panic!("{place}: {errors:?}"),
        }
        loaded.config
    }

    #[test]
    fn every_configuration_on_a_page_works() {
        let folder = folder_of("pages");
        let mut count = 0;
        for page in pages() {
            for block in blocks(&page) {
                let info = block.info.as_str();
                if matches!(info, "yaml" | "json" | "toml") {
                    load(&folder, &block.place, info, &block.text);
                    count += 1;
                }
            }
        }
        assert!(count >= FEWEST_BLOCKS, "only {count} blocks were found");
    }

    /// A block `text output` begins with a command and shows what it prints about the configuration
    /// right before it. `...` stands for lines that are left out.
    #[test]
    fn what_commands_are_said_to_print_is_what_they_print() {
        let folder = folder_of("output");
        let mut count = 0;
        for page in pages() {
            let mut configuration = String::new();
            for block in blocks(&page) {
                if block.info.starts_with("yaml") {
                    configuration = block.text;
                } else if block.info == "text output" {
                    count += 1;
                    fs::write(folder.join("gateway.yaml"), &configuration).unwrap();
                    let (command, told) = block.text.split_once('\n').unwrap();
                    let printed = printed(&folder, command.strip_prefix("$ portcullis ").unwrap());
                    let mut rest = printed.as_str();
                    for part in told.split("...\n") {
                        let at = rest.find(part).unwrap_or_else(|| {
                            panic!(
                                "{} shows\n{told}\nwhere this is printed:\n{printed}",
                                block.place
                            )
                        });
                        rest = &rest[at + part.len()..];
                    }
                }
            }
        }
        assert!(count >= 4, "only {count} blocks were found");
    }

    /// What a command prints, on either stream.
    fn printed(folder: &Path, arguments: &str) -> String {
        let quoted = arguments.split('\'').enumerate();
        let arguments = quoted.flat_map(|(number, part)| match number % 2 {
            0 => part.split_whitespace().collect(),
            _ => vec![part],
        });
        let output = Command::new(env!("CARGO_BIN_EXE_portcullis"))
            .args(arguments)
            .env("PORTCULLIS_CONFIG", "gateway.yaml")
            .current_dir(folder)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
    }

    #[test]
    fn the_commands_of_the_readme_are_those_that_are_run() {
        let readme = read("README.md");
        for command in ["cargo run --release -- quickstart", "cargo test"] {
            assert!(readme.contains(&format!("```sh\n{command}\n```")), "{command}");
        }
        assert!(read(".ci/run").contains(" cargo test\n"));
    }

    #[test]
    fn every_example_works() {
        let folder = folder_of("examples");
        let examples = files("examples");
        for format in [Format::Yaml, Format::Json, Format::Toml] {
            let has = |example: &String| Format::of(Path::new(example)) == Some(format);
            assert!(examples.iter().any(has), "no example in {format:?}");
        }
        for example in examples {
            let extension = Path::new(&example).extension().unwrap().to_str().unwrap();
            load(&folder, &example, extension, &read(&example));
        }
    }

    /// The first configuration of `limits.md` writes every default out; without them, nothing may
    /// be different.
    #[test]
    fn the_defaults_are_those_that_are_told() {
        let folder = folder_of("defaults");
        let blocks = blocks("docs/src/limits.md");
        let told = load(&folder, "told", "yaml", &blocks[0].text);
        let bare = "listeners: { web: { address: \"0.0.0.0:8000\" } }\n\
                    services: { users: { endpoints: [\"127.0.0.1:8080\"] } }\n\
                    routes: { users: { service: users } }\n";
        let bare = load(&folder, "bare", "yaml", bare);
        assert_eq!(told.listeners, bare.listeners);
        assert_eq!(told.services, bare.services);
        let keys = ["uri:", "fields:", "min_rate_grace:", "connect:", "tunnel:", "idle_timeout:"];
        for key in keys {
            assert!(blocks[0].text.contains(key), "{key} is not told");
        }
    }

    #[test]
    fn every_page_is_in_the_summary_and_links_lead_somewhere() {
        let summary = read("docs/src/SUMMARY.md");
        for page in files("docs/src").iter().filter(|file| file.ends_with(".md")) {
            let name = page.rsplit('/').next().unwrap();
            assert!(name == "SUMMARY.md" || summary.contains(&format!("({name})")), "{name}");
        }
        let mut documents = pages();
        documents.extend(["ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md"].map(String::from));
        for document in documents {
            for link in links(&read(&document)) {
                if link.contains("://") {
                    continue;
                }
                let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
                let here = Path::new(&document);
                let target = match file {
                    "" => here.to_owned(),
                    file => here.parent().unwrap().join(file),
                };
                assert!(root().join(&target).exists(), "{document}: {link}");
                assert!(
                    anchor.is_empty() || anchors(&read(target.to_str().unwrap())).contains(anchor),
                    "{document}: {link}"
                );
            }
        }
    }

    /// What stands between `](` and `)`.
    fn links(text: &str) -> Vec<String> {
        let parts = text.split("](").skip(1);
        parts.filter_map(|part| Some(part.split_once(')')?.0.to_owned())).collect()
    }

    /// Headings as mdBook makes anchors of them.
    fn anchors(text: &str) -> BTreeSet<String> {
        let headings =
            text.lines().filter_map(|line| line.trim_start_matches('#').strip_prefix(' '));
        let kept = |c: &char| c.is_alphanumeric() || matches!(c, '-' | '_' | ' ');
        headings
            .map(|heading| heading.to_lowercase().chars().filter(kept).collect::<String>())
            .map(|heading| heading.replace(' ', "-"))
            .collect()
    }

    fn help(arguments: &[&str]) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_portcullis"))
            .args(arguments)
            .arg("--help")
            .output()
            .unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn every_command_and_option_is_described() {
        let page = read("docs/src/cli.md");
        let help_of_all = help(&[]);
        let (_, commands) = help_of_all.split_once("Commands:\n").unwrap();
        let (commands, _) = commands.split_once("\n\n").unwrap();
        let commands: Vec<&str> =
            commands.lines().filter_map(|line| line.split_whitespace().next()).collect();
        assert!(commands.contains(&"run"), "{commands:?}");
        for command in commands {
            assert!(page.contains(&format!("## `portcullis {command}`\n")), "{command}");
            for word in help(&[command]).split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')) {
                if word.starts_with("--") && word != "--help" {
                    assert!(page.contains(word), "{command} {word}");
                }
            }
        }
    }

    #[test]
    fn every_key_of_a_configuration_is_described() {
        let pages: String = pages().iter().map(|page| read(page)).collect();
        let mut keys = BTreeSet::new();
        collect_keys(&portcullis_config::schema(), &mut keys);
        assert!(keys.len() > 60, "{keys:?}");
        for key in keys {
            let written = [format!("`{key}`"), format!("{key}: "), format!("{key}:\n")];
            assert!(written.iter().any(|form| pages.contains(form)), "{key}");
        }
    }

    fn collect_keys(schema: &serde_json::Value, keys: &mut BTreeSet<String>) {
        if let Some(properties) = schema.get("properties").and_then(|found| found.as_object()) {
            keys.extend(properties.keys().cloned());
        }
        let children: Box<dyn Iterator<Item = &serde_json::Value>> = match schema {
            serde_json::Value::Object(map) => Box::new(map.values()),
            serde_json::Value::Array(items) => Box::new(items.iter()),
            _ => return,
        };
        children.for_each(|child| collect_keys(child, keys));
    }

    #[test]
    fn every_mistake_that_is_named_has_its_vector() {
        let page = read("docs/src/strictness.md");
        let vectors: String = files("crates/testkit/tests/behaviour/attacks/vectors")
            .iter()
            .map(|file| read(file))
            .collect();
        let named: Vec<&str> = page
            .split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'))
            .filter(|word| word.starts_with("CVE-"))
            .collect();
        assert!(named.len() > 40, "{named:?}");
        for cve in named {
            assert!(vectors.contains(cve), "{cve}");
        }
    }
}
