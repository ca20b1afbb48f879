//! Our HTTP/1.1 against hyper's, on generated messages: both must accept the same, understand the
//! same by it and see the next message begin at the same byte. Each difference is explained in
//! `differential/explained.rs` or fails the test with the bytes that show it.
//!
//! The messages are the same in every run. `PROPTEST_CASES=100000` looks further, and
//! `DIFFERENTIAL_SEED=1` (any number) elsewhere.

#[cfg(test)]
mod differential {
    mod compare;
    mod explained;
    mod messages;
    mod ours;
    mod seen;
    mod theirs;

    use std::cell::{Cell, RefCell};
    use std::collections::BTreeSet;
    use std::fmt;

    use proptest::bool::weighted;
    use proptest::strategy::Strategy;
    use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

    use compare::{Difference, compare};
    use explained::{Explanation, REPLIES, REQUESTS};
    use seen::{Message, Reading};

    /// Generated inputs, unless `PROPTEST_CASES` says otherwise.
    const CASES: u32 = 8000;

    #[test]
    fn requests() {
        let inputs = messages::requests().prop_map(|bytes| Input { bytes, to_head: false });
        run(inputs, REQUESTS, async |Input { bytes, .. }| {
            (ours::requests(bytes).await, theirs::requests(bytes).await)
        });
    }

    #[test]
    fn replies() {
        let inputs = (messages::replies(), weighted(0.2))
            .prop_map(|(bytes, to_head)| Input { bytes, to_head });
        run(inputs, REPLIES, async |Input { bytes, to_head }| {
            (ours::reply(bytes, *to_head).await, theirs::reply(bytes, *to_head).await)
        });
    }

    fn run(
        inputs: impl Strategy<Value = Input>,
        explanations: &[Explanation],
        read: impl AsyncFn(&Input) -> (Reading, Reading),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        let used = RefCell::new(BTreeSet::new());
        // Whole messages that we accepted, and inputs.
        let accepted = Cell::new((0, 0));
        let outcome = runner().run(&inputs, |input| {
            let (ours, theirs) = runtime.block_on(read(&input));
            let (messages, inputs) = accepted.get();
            accepted.set((messages + ours.messages.len(), inputs + 1));
            let Some(difference) = compare(&ours, &theirs) else { return Ok(()) };
            let explained = explanations.iter().find(|e| (e.holds)(&difference, &input.bytes));
            match explained {
                Some(explanation) => {
                    used.borrow_mut().insert(explanation.name);
                    Ok(())
                }
                None => Err(TestCaseError::fail(report(&difference, &ours, &theirs))),
            }
        });
        if let Err(error) = outcome {
            panic!("{error}");
        }
        let used = used.into_inner();
        let idle: Vec<_> =
            explanations.iter().map(|e| e.name).filter(|name| !used.contains(name)).collect();
        // A list that explains what never happens hides what will.
        assert!(idle.is_empty(), "explanations that explain nothing: {idle:?}");
        let (messages, inputs) = accepted.get();
        assert!(messages * 3 > inputs, "the generator makes too little that is legal");
    }

    fn runner() -> TestRunner {
        let cases = match std::env::var_os("PROPTEST_CASES") {
            Some(_) => Config::default().cases,
            None => CASES,
        };
        let config = Config { cases, failure_persistence: None, ..Config::default() };
        let seed: u64 = std::env::var("DIFFERENTIAL_SEED").map_or(0, |seed| seed.parse().unwrap());
        let mut bytes = [7; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
    }

    /// What both are given.
    struct Input {
        bytes: Vec<u8>,
        /// The replies answer `HEAD`.
        to_head: bool,
    }

    impl fmt::Debug for Input {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let to = if self.to_head { " to HEAD" } else { "" };
            write!(f, "b\"{}\"{to}", self.bytes.escape_ascii())
        }
    }

    fn report(difference: &Difference<'_>, ours: &Reading, theirs: &Reading) -> String {
        let list = |reading: &Reading| {
            let lines = reading.messages.iter().chain(&reading.cut).map(Message::to_string);
            lines.collect::<Vec<_>>().join("\n    ")
        };
        let (our_list, their_list) = (list(ours), list(theirs));
        format!(
            "an unexplained difference: {difference:?}\n  ours, {:?}:\n    {our_list}\n  hyper, {:?}:\n    {their_list}\n",
            ours.end, theirs.end,
        )
    }
}
