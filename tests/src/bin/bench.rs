//! Runs the benchmarks: `cargo xtask bench`.

use anyhow::Result;
use caracal_kernels::{DeviceChoice, choose_device};
use caracal_tests::bench::{Machine, Measured, Options, audio, backbone, codec, conversation, kernels, vision};
use clap::{Parser, ValueEnum};

/// Times what Caracal computes, beside what this machine could do at best in the same run.
#[derive(Parser)]
#[command(
    after_help = "Examples:\n  cargo xtask bench perception --full-size\n  cargo xtask bench backbone --json\n  cargo xtask bench kernels\n  cargo xtask bench conversation --turns 12"
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
    /// Turns of each conversation that is timed (for `conversation`).
    #[arg(long, default_value_t = 51)]
    turns: usize,
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
    /// Whole conversations with kitten in real time: what the user waits for, and what the link carries (about 20 minutes).
    Conversation,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let Suite::Conversation = arguments.suite {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Into::into).unwrap_or_default();
        return conversation::run(&conversation::Options { turns: arguments.turns, root, json: arguments.json });
    }
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
        Suite::Conversation => &[],
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
