//! Prints one line per golden with its largest error: `cargo xtask golden`.

use anyhow::{Result, ensure};
use caracal_kernels::{DeviceChoice, choose_device};
use caracal_tests::golden::{all, run};
use clap::Parser;

/// Compares every module with vectors made by the published implementations.
#[derive(Parser)]
#[command(
    after_help = "Examples:\n  cargo xtask golden\n  cargo xtask golden fsmn --verbose\n  CARACAL_GOLDEN_DIR=/data/other cargo xtask golden"
)]
struct Arguments {
    /// Only goldens whose name contains this.
    filter: Option<String>,
    /// auto, cpu or wgpu.
    #[arg(long, default_value = "cpu")]
    device: DeviceChoice,
    /// Every comparison, not only the worst.
    #[arg(long)]
    verbose: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let chosen = choose_device(arguments.device);
    if let Some(why) = &chosen.fallback {
        eprintln!("{why}");
    }
    let mut failed = 0;
    for entry in all().iter().filter(|e| arguments.filter.as_ref().is_none_or(|f| e.name.contains(f.as_str()))) {
        let outcome = run(entry.name, &chosen.device);
        let (mark, text) = match &outcome {
            Ok(report) => match report.worst() {
                Some(worst) => (worst.used <= 1.0, format!("{:>4} checks, worst {worst}", report.checks.len())),
                None => (false, "no check".into()),
            },
            Err(error) => (false, format!("{error:#}")),
        };
        failed += usize::from(!mark);
        println!("{} {:<32} {text}", if mark { "ok  " } else { "FAIL" }, entry.name);
        if let (true, Ok(report)) = (arguments.verbose, &outcome) {
            report.checks.iter().for_each(|check| println!("       {check}"));
        }
    }
    ensure!(failed == 0, "{failed} goldens failed");
    Ok(())
}
