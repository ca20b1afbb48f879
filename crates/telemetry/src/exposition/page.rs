//! Writes the lines of the text format: families with their head, samples with their labels.
//!
//! The format wants all samples of a family together behind its `HELP` and `TYPE`. A page keeps
//! the family that it is in, so a sample cannot land in another.

use std::fmt::Write;

/// What a family's values mean.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// A page on its way into a string.
pub(super) struct Page<'a> {
    out: &'a mut String,
    family: &'static str,
    digits: itoa::Buffer,
}

impl<'a> Page<'a> {
    pub(super) fn new(out: &'a mut String) -> Page<'a> {
        Page { out, family: "", digits: itoa::Buffer::new() }
    }

    /// Begins a family; `help` holds neither backslashes nor line ends.
    pub(super) fn family(&mut self, name: &'static str, kind: Kind, help: &'static str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        for part in ["# HELP ", name, " ", help, "\n# TYPE ", name, " ", kind, "\n"] {
            self.out.push_str(part);
        }
        self.family = name;
    }

    /// A sample of the family begun last.
    pub(super) fn sample(&mut self, labels: &[(&str, &str)], value: u64) {
        self.series("", labels);
        self.integer(value);
    }

    /// A sample with a fraction.
    pub(super) fn sample_fraction(&mut self, labels: &[(&str, &str)], value: f64) {
        self.series("", labels);
        self.fraction(value);
    }

    /// A family of one counter.
    pub(super) fn counter(&mut self, name: &'static str, help: &'static str, value: u64) {
        self.family(name, Kind::Counter, help);
        self.sample(&[], value);
    }

    /// A family of one gauge.
    pub(super) fn gauge(&mut self, name: &'static str, help: &'static str, value: u64) {
        self.family(name, Kind::Gauge, help);
        self.sample(&[], value);
    }

    /// A family of one counter with a fraction.
    pub(super) fn counter_seconds(&mut self, name: &'static str, help: &'static str, value: f64) {
        self.family(name, Kind::Counter, help);
        self.series("", &[]);
        self.fraction(value);
    }

    /// A family of one gauge with a fraction.
    pub(super) fn gauge_seconds(&mut self, name: &'static str, help: &'static str, value: f64) {
        self.family(name, Kind::Gauge, help);
        self.series("", &[]);
        self.fraction(value);
    }

    /// One histogram of the family begun last. `buckets` are not cumulative and number one more
    /// than `bounds_us`; microseconds become seconds.
    pub(super) fn histogram(
        &mut self,
        label: (&str, &str),
        bounds_us: &[u64],
        buckets: &[u64],
        sum_us: u64,
    ) {
        let mut count = 0u64;
        let mut bound = String::new();
        for (i, bucket) in buckets.iter().enumerate() {
            count = count.wrapping_add(*bucket);
            bound.clear();
            match bounds_us.get(i) {
                // Writing to a string cannot fail.
                Some(&us) => _ = write!(bound, "{}", seconds(us)),
                None => bound.push_str("+Inf"),
            }
            self.series("_bucket", &[label, ("le", &bound)]);
            self.integer(count);
        }
        self.series("_sum", &[label]);
        self.fraction(seconds(sum_us));
        self.series("_count", &[label]);
        self.integer(count);
    }

    /// The name and labels of a sample, and the blank behind them.
    fn series(&mut self, suffix: &str, labels: &[(&str, &str)]) {
        self.out.push_str(self.family);
        self.out.push_str(suffix);
        for (i, (name, value)) in labels.iter().enumerate() {
            self.out.push(if i == 0 { '{' } else { ',' });
            self.out.push_str(name);
            self.out.push_str("=\"");
            escape(value, self.out);
            self.out.push('"');
        }
        self.out.push_str(if labels.is_empty() { " " } else { "} " });
    }

    fn integer(&mut self, value: u64) {
        self.out.push_str(self.digits.format(value));
        self.out.push('\n');
    }

    fn fraction(&mut self, value: f64) {
        // Writing to a string cannot fail.
        _ = writeln!(self.out, "{value}");
    }
}

fn seconds(us: u64) -> f64 {
    us as f64 / 1e6
}

/// Appends a label's value with what the format reserves escaped.
fn escape(value: &str, out: &mut String) {
    for part in value.split_inclusive(['\\', '"', '\n']) {
        let mut chars = part.chars();
        let escaped = match chars.next_back() {
            Some('\\') => "\\\\",
            Some('"') => "\\\"",
            Some('\n') => "\\n",
            _ => {
                out.push_str(part);
                continue;
            }
        };
        out.push_str(chars.as_str());
        out.push_str(escaped);
    }
}
