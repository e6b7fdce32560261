//! The machine, in general terms.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use tokio::time::Instant;

/// Cores, memory and what the kernel can do.
pub fn described() -> String {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let cores = read("/proc/cpuinfo").lines().filter(|line| line.starts_with("processor")).count();
    let memory = read("/proc/meminfo");
    let kib = memory.split_whitespace().nth(1).and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(f64::NAN);
    let kernel = read("/proc/sys/kernel/osrelease");
    let mut numbers = kernel.split(['.', '-']).map_while(|number| number.trim().parse::<u32>().ok());
    let kernel = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let scan = if kernel >= (6, 7) { "with" } else { "without" };
    format!(
        "{cores} cores ({}), {:.0} GiB of memory, Linux {}.{} ({scan} `PAGEMAP_SCAN`)",
        std::env::consts::ARCH,
        kib / f64::from(1 << 20),
        kernel.0,
        kernel.1,
    )
}

/// What makes 4 KiB durable in `folder`: the median of 100 times.
pub fn fsync(folder: &Path) -> Result<Duration> {
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    let mut times = Vec::new();
    for _ in 0..100 {
        let begin = Instant::now();
        file.write_all(&[0x5a; 4 << 10])?;
        File::sync_data(file.as_file())?;
        times.push(begin.elapsed());
    }
    times.sort_unstable();
    Ok(times[times.len() / 2])
}
