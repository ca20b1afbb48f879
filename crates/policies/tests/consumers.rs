//! A million consumers with a key each: what they take, and what one more costs. In a process of its
//! own, so that nothing else is measured.
#[cfg(test)]
mod consumers {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};
    use std::process::Command;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use portcullis_config::model::{Config, Credentials, Process, Secret};
    use portcullis_policies::Registry;
    use portcullis_policies::consumers::key::{KeyHasher, draw_key, prefix};
    use portcullis_policies::consumers::{Database, Directory, KeyFault, NewConsumer};

    const MANY: u64 = 1_000_000;
    const SECRET: &str = "0123456789abcdef0123456789abcdef";
    /// Where the child finds the database.
    const PATH: &str = "PORTCULLIS_TEST_CONSUMERS";
    const NAME: &str = "consumers::a_million_consumers_take_little_and_one_more_costs_little";

    /// Resident memory in bytes.
    fn resident() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    }

    fn parts(key: &str) -> (String, [u8; 32]) {
        let shown = prefix(key.as_bytes()).unwrap();
        let shown = String::from_utf8(shown.to_vec()).unwrap();
        (shown, KeyHasher::new(SECRET.as_bytes()).hash(key.as_bytes()))
    }

    /// One in a hundred thousand has a real key; the others only look like one, for speed.
    fn one(number: u64, keys: &[String]) -> (NewConsumer, String, [u8; 32]) {
        let name = format!("consumer-{number:08}-{:08x}", number.wrapping_mul(2_654_435_761));
        let plan = Some(["small", "gold"][number as usize % 2].to_owned());
        let consumer = NewConsumer { name, plan, groups: vec!["all".to_owned()] };
        if number.is_multiple_of(100_000) {
            let (shown, hash) = parts(&keys[(number / 100_000) as usize]);
            return (consumer, shown, hash);
        }
        let mut hash = [7; 32];
        hash[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
        // Zero is in no key, so that these are none that was drawn.
        (consumer, format!("0{:07}", number), hash)
    }

    fn directory(path: &Path) -> (Directory, Duration) {
        let credentials = Credentials {
            secret: Some(Secret::new(SECRET)),
            store: Some(path.to_owned()),
            ..Credentials::default()
        };
        let process = Process { credentials: Arc::new(credentials), ..Process::default() };
        let config = Config { process, ..Config::default() };
        let registry = Registry::new(1);
        let begun = Instant::now();
        let store = registry.identities().open(path).unwrap();
        let took = begun.elapsed();
        let directory = Directory::new(&registry, &config, &Directory::default(), false).unwrap();
        drop(store);
        (directory, took)
    }

    fn in_child(path: &Path) {
        let before = resident();
        let (directory, took) = directory(path);
        let each = (resident() - before) / MANY;
        let keys = std::fs::read_to_string(path.with_extension("keys")).unwrap();
        let now = 1_700_000_000;
        let names: BTreeSet<String> = keys
            .lines()
            .map(|key| directory.key(key.as_bytes(), now).unwrap().0.name.to_string())
            .collect();
        assert_eq!(names.len(), 10);
        assert!(names.iter().all(|name| directory.find(name).is_some()));
        let stranger = draw_key().unwrap();
        assert_eq!(directory.key(stranger.as_bytes(), now).unwrap_err(), KeyFault::Unknown);

        // One more, written by somebody else, is there soon.
        let (shown, hash) = parts(&stranger);
        let consumer = NewConsumer { name: "late".to_owned(), ..NewConsumer::default() };
        Database::open(path).unwrap().add_key(&consumer, &shown, &hash, now, None).unwrap();
        let begun = Instant::now();
        while directory.key(stranger.as_bytes(), now).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(60));
            std::thread::sleep(Duration::from_millis(10));
        }
        println!("loaded in {took:?}, {each} bytes each");
        assert!(each <= 250, "{each} bytes each");
    }

    #[test]
    fn a_million_consumers_take_little_and_one_more_costs_little() {
        if let Some(path) = std::env::var_os(PATH) {
            return in_child(&PathBuf::from(path));
        }
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("consumers");
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("many.db");
        let keys: Vec<String> = (0..10).map(|_| draw_key().unwrap()).collect();
        std::fs::write(path.with_extension("keys"), keys.join("\n")).unwrap();
        let mut database = Database::open(&path).unwrap();
        database.import((0..MANY).map(|number| one(number, &keys)), 1_700_000_000).unwrap();
        drop(database);
        let child = Command::new(std::env::current_exe().unwrap())
            .args([NAME, "--exact", "--nocapture"])
            .env(PATH, &path)
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&child.stdout).into_owned();
        let _ = std::fs::remove_dir_all(&folder);
        println!("{told}");
        assert!(child.status.success(), "{told}{}", String::from_utf8_lossy(&child.stderr));
    }
}
