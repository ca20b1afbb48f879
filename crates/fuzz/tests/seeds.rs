//! The fuzz targets' checks under plain `cargo test`: on every seed, and on mutations of the seeds
//! that are the same in every run.

#[cfg(test)]
mod seeds {
    mod mutate;

    use std::path::PathBuf;

    use mutate::Mutator;
    use portcullis_config::Loader;
    use portcullis_fuzz::{CHECKS, Check};

    /// The seeds of a target, ordered by name.
    fn seeds(target: &str) -> Vec<Vec<u8>> {
        let folder =
            PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(target);
        let mut files: Vec<PathBuf> =
            folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        assert!(files.len() >= 3, "{} has too few seeds", folder.display());
        files.iter().map(|file| std::fs::read(file).unwrap()).collect()
    }

    /// Shows the input when the check panics.
    struct Shown<'a>(&'a [u8]);

    impl Drop for Shown<'_> {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("the input was b\"{}\"", self.0.escape_ascii());
            }
        }
    }

    fn run(check: Check, input: &[u8]) {
        let shown = Shown(input);
        check(shown.0);
    }

    fn hold(target: &str, mutations: usize) {
        let (_, check) = CHECKS.iter().find(|(name, _)| *name == target).unwrap();
        let seeds = seeds(target);
        run(*check, b"");
        for seed in &seeds {
            run(*check, seed);
        }
        let mut mutator = Mutator::new(&seeds);
        for _ in 0..mutations {
            run(*check, &mutator.next_input());
        }
    }

    #[test]
    fn chunked() {
        hold("chunked", 5000);
    }

    #[test]
    fn expression() {
        hold("expression", 5000);
    }

    #[test]
    fn configuration() {
        hold("configuration", 1000);
    }

    #[test]
    fn key_set() {
        hold("key_set", 3000);
    }

    #[test]
    fn path() {
        hold("path", 10_000);
    }

    #[test]
    fn request_head() {
        hold("request_head", 3000);
    }

    #[test]
    fn response_head() {
        hold("response_head", 2000);
    }

    #[test]
    fn router() {
        hold("router", 3000);
    }

    #[test]
    fn token() {
        hold("token", 5000);
    }

    /// A seed that has gone stale reaches nothing worth mutating.
    #[test]
    fn configurations_are_as_right_as_their_names_say() {
        let folder =
            PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/configuration");
        for entry in folder.read_dir().unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap();
            let loaded = Loader::new(&path).environment(|_| Some("8000".to_owned())).load();
            let wrong = matches!(name, "wrong" | "nested");
            let report =
                loaded.as_ref().map_or_else(|report| report.render(false), |_| String::new());
            assert_eq!(loaded.is_err(), wrong, "{name}: {report}");
        }
    }

    #[test]
    fn every_folder_of_seeds_has_its_target_and_its_test() {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
        let names = |folder: &str| {
            let entries = root.join(folder).read_dir().unwrap();
            let mut names: Vec<String> = entries
                .map(|entry| {
                    entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()
                })
                .collect();
            names.sort();
            names
        };
        let checks: Vec<&str> = CHECKS.iter().map(|(name, _)| *name).collect();
        assert_eq!(names("seeds"), checks);
        assert_eq!(names("fuzz_targets"), checks);
    }
}
