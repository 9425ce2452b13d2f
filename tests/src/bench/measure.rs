//! Measuring a piece of work, and the machine it runs on.

use std::fmt;
use std::time::Instant;

use burn::tensor::{Device, Distribution, Tensor};

/// Median wall time of `runs` calls of `work`, in seconds, after one call to warm up.
pub fn median_seconds(runs: usize, mut work: impl FnMut()) -> f64 {
    work();
    let mut times: Vec<f64> = (0..runs.max(1))
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Largest resident memory of this process since [`reset_peak_memory`], in bytes; 0 where the system does not say.
pub fn peak_memory_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// Starts a new peak for [`peak_memory_bytes`]. Without effect where the system does not allow it.
pub fn reset_peak_memory() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// What the device can do at best, measured in this run.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    /// Multiply and add counted as two, on a large f32 matrix product of the tensor library.
    pub gflops: f64,
    /// Bytes a second of one pass over memory far larger than the caches, all cores together.
    pub bytes_per_second: f64,
}

impl Machine {
    /// Measures `device` (memory on the host when that is the CPU; on a GPU by a tensor addition).
    pub fn measure(device: &Device) -> Self {
        let n = 1024;
        let a = Tensor::<2>::random([n, n], Distribution::Default, device);
        let b = Tensor::<2>::random([n, n], Distribution::Default, device);
        let product = median_seconds(7, || drop(a.clone().matmul(b.clone()).into_data()));
        let words = 1 << 25;
        let memory: Vec<u64> = vec![1; words];
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let pass = median_seconds(5, || {
            let total: u64 = std::thread::scope(|scope| {
                let tasks: Vec<_> = memory
                    .chunks(words.div_ceil(threads))
                    .map(|part| scope.spawn(move || part.iter().fold(0u64, |s, v| s.wrapping_add(*v))))
                    .collect();
                tasks.into_iter().map(|t| t.join().unwrap_or(0)).fold(0, u64::wrapping_add)
            });
            assert_eq!(total, words as u64);
        });
        Self { gflops: 2.0 * (n as f64).powi(3) / product / 1e9, bytes_per_second: 8.0 * words as f64 / pass }
    }
}

/// One measured piece of work.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Module and input, e.g. `audio encoder, 1 s in steps of 80 ms`.
    pub what: String,
    /// Median wall time.
    pub seconds: f64,
    /// Length of the sound that was handled, where that has a meaning.
    pub media_seconds: Option<f64>,
    /// Floating-point operations of the work, multiply and add counted as two.
    pub flop: f64,
    /// Bytes that must be read at least (weights once a call, inputs, state).
    pub bytes: f64,
    /// Peak resident memory while it ran.
    pub peak_memory_bytes: u64,
}

impl Measured {
    /// Time that the work would take if the machine did nothing but its arithmetic or its reading, whichever is longer.
    pub fn limit_seconds(&self, machine: &Machine) -> f64 {
        (self.flop / (machine.gflops * 1e9)).max(self.bytes / machine.bytes_per_second)
    }

    /// An object for programs.
    pub fn json(&self, machine: &Machine) -> serde_json::Value {
        serde_json::json!({
            "what": self.what, "seconds": self.seconds, "media_seconds": self.media_seconds,
            "real_time_factor": self.media_seconds.map(|m| self.seconds / m), "gflops": self.flop / self.seconds / 1e9,
            "limit_seconds": self.limit_seconds(machine), "ratio": self.seconds / self.limit_seconds(machine).max(1e-12),
            "peak_memory_bytes": self.peak_memory_bytes,
        })
    }

    /// A line for people.
    pub fn line(&self, machine: &Machine) -> String {
        let limit = self.limit_seconds(machine);
        let real_time = self.media_seconds.map_or_else(|| "        -".into(), |media| format!("{:9.3}", self.seconds / media));
        format!(
            "{:<58} {:>10.2} ms {real_time} {:>8.1} GFLOP/s  limit {:>9.2} ms  ratio {:>6.2}  peak {:>7.2} GB",
            self.what,
            1e3 * self.seconds,
            self.flop / self.seconds / 1e9,
            1e3 * limit,
            self.seconds / limit.max(1e-12),
            self.peak_memory_bytes as f64 / 1e9
        )
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "machine at best: {:.0} GFLOP/s, {:.1} GB/s", self.gflops, self.bytes_per_second / 1e9)
    }
}
