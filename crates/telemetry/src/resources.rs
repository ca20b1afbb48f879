//! What the process uses of the machine, as the kernel tells in `/proc/self`.
//!
//! A value that cannot be read is absent rather than zero: a zero would look like a measurement.

use std::fs;

/// The kernel reports processor time to user space in hundredths of a second (`USER_HZ`) on every
/// architecture that Rust's Linux targets cover.
const TICKS_A_SECOND: f64 = 100.0;

/// What the process uses at the moment.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Resources {
    pub(crate) resident_bytes: Option<u64>,
    pub(crate) cpu_seconds: Option<f64>,
    pub(crate) open_files: Option<u64>,
    pub(crate) max_files: Option<u64>,
}

impl Resources {
    pub(crate) fn read() -> Resources {
        let read = |name: &str| fs::read_to_string(format!("/proc/self/{name}")).ok();
        Resources {
            resident_bytes: read("status").as_deref().and_then(resident_bytes),
            cpu_seconds: read("stat").as_deref().and_then(cpu_seconds),
            open_files: open_files(),
            max_files: read("limits").as_deref().and_then(max_files),
        }
    }
}

/// From `/proc/self/status`, where it stands in units of 1024 bytes whatever the page size.
fn resident_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    kib.checked_mul(1024)
}

/// User and system time from `/proc/self/stat`: its fields 14 and 15. The second field, the name,
/// may hold blanks and parentheses, so counting starts behind its last parenthesis.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user.checked_add(system)? as f64 / TICKS_A_SECOND)
}

/// The soft limit; absent when there is none.
fn max_files(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

fn open_files() -> Option<u64> {
    // Since Linux 6.2 the directory's size is the number of its entries. Older kernels say 0, and
    // listing it costs time in proportion to the connections.
    match fs::metadata("/proc/self/fd").ok()?.len() {
        // The listing holds the descriptor by which it is read.
        0 => Some((fs::read_dir("/proc/self/fd").ok()?.count() as u64).saturating_sub(1)),
        files => Some(files),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_given_in_kib() {
        let status = "Name:\tportcullis\nVmHWM:\t    9000 kB\nVmRSS:\t    8224 kB\nThreads:\t4\n";
        assert_eq!(resident_bytes(status), Some(8224 * 1024));
        assert_eq!(resident_bytes("Name:\tx\n"), None);
    }

    #[test]
    fn processor_time_is_found_behind_an_odd_name() {
        let stat = "7 (a) b) 1 2) S 1 7 7 0 -1 4194304 100 0 0 0 250 175 0 0 20 0 4 0 99 1 2";
        assert_eq!(cpu_seconds(stat), Some(4.25));
        assert_eq!(cpu_seconds("7 (x) S 1"), None);
    }

    #[test]
    fn the_soft_limit_counts() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units\n\
                      Max open files            1024                 524288               files\n";
        assert_eq!(max_files(limits), Some(1024));
        assert_eq!(max_files("Max open files   unlimited  unlimited  files\n"), None);
    }

    #[test]
    fn this_process_has_all_of_them() {
        let resources = Resources::read();
        assert!(resources.resident_bytes.is_some_and(|bytes| bytes > 0), "{resources:?}");
        assert!(resources.cpu_seconds.is_some(), "{resources:?}");
        // At least the standard streams.
        assert!(resources.open_files.is_some_and(|files| files >= 3), "{resources:?}");
    }
}
