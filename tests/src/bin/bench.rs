//! Runs the benchmarks: `cargo xtask bench`.

use anyhow::Result;
use caracal_kernels::{DeviceChoice, choose_device};
use caracal_tests::bench::{Machine, Measured, Options, audio, backbone, codec, kernels, vision};
use clap::{Parser, ValueEnum};

/// Times what Caracal computes, beside what this machine could do at best in the same run.
#[derive(Parser)]
#[command(
    after_help = "Examples:\n  cargo xtask bench perception --full-size\n  cargo xtask bench backbone --json\n  cargo xtask bench kernels"
)]
struct Arguments {
    /// What to time.
    #[arg(value_enum)]
    suite: Suite,
    /// Released shapes with random weights instead of small ones (about 6 GB of memory).
    #[arg(long)]
    full_size: bool,
    /// auto, cpu or wgpu.
    #[arg(long, default_value = "cpu")]
    device: DeviceChoice,
    /// One JSON object a line, for programs.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Suite {
    /// Audio encoder, vision encoder, codec.
    Perception,
    /// Language model: prefill and decode.
    Backbone,
    /// Our CPU operations beside the tensor library's.
    Kernels,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let chosen = choose_device(arguments.device);
    if let Some(why) = &chosen.fallback {
        eprintln!("{why}");
    }
    let options = Options { device: chosen.device, full_size: arguments.full_size };
    let machine = Machine::measure(&options.device);
    if !arguments.json {
        println!("{}, {} threads; {machine}", chosen.name, std::thread::available_parallelism().map_or(1, usize::from));
        println!("{:<58} {:>13} {:>9} {:>16}", "", "median", "real time", "");
    }
    let suites: &[fn(&Options) -> Result<Vec<Measured>>] = match arguments.suite {
        Suite::Perception => &[audio::run, vision::run, codec::run],
        Suite::Backbone => &[backbone::run],
        Suite::Kernels => &[kernels::run],
    };
    for suite in suites {
        for measured in suite(&options)? {
            if arguments.json {
                println!("{}", measured.json(&machine));
            } else {
                println!("{}", measured.line(&machine));
            }
        }
    }
    Ok(())
}
