//! How much memory all executions may have together.

use std::fs;

use super::Options;

/// Where the kernel says how much memory the machine has, and how much the process's control group may have: in a container
/// its own group is the root of what it sees.
const MACHINE: &str = "/proc/meminfo";
const GROUPS: [&str; 2] = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];

/// Bytes where the kernel does not say.
const UNKNOWN: usize = 4 << 30;

/// The bytes that the options say, or half of what there is.
pub(super) fn bytes(options: &Options) -> usize {
    match options.memory_total_bytes_max {
        0 => {
            let machine = fs::read_to_string(MACHINE).ok().and_then(|text| machine(&text));
            let groups = GROUPS.iter().filter_map(|path| group(&fs::read_to_string(path).ok()?));
            groups.chain(machine).min().map_or(UNKNOWN, |bytes| bytes / 2)
        }
        bytes => bytes,
    }
}

/// From lines such as `MemTotal:       24683520 kB`.
fn machine(text: &str) -> Option<usize> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<usize>().ok()?.checked_mul(1 << 10)
}

/// A number of bytes; `max` is none.
fn group(text: &str) -> Option<usize> {
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_operator_says_holds_and_otherwise_half_of_what_there_is() {
        let told = Options { memory_total_bytes_max: 5, ..Options::default() };
        assert_eq!(bytes(&told), 5);
        assert!(bytes(&Options::default()) > 0);
        assert_eq!(machine("MemTotal:       1024 kB\nMemFree:  1 kB\n"), Some(1 << 20));
        assert_eq!((group("max\n"), group("1048576\n")), (None, Some(1 << 20)));
    }
}
