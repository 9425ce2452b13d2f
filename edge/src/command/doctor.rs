//! `caracal doctor`: what works and what does not.

use std::io::IsTerminal;
use std::process::ExitCode;

use anyhow::Result;

use super::options::ConfigOptions;
use super::paint::Paint;
use crate::doctor::{Check, Report, examine};

/// Check everything that a conversation needs, and say what to do about what does not work.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  caracal doctor
  caracal doctor --model models/kitten
  caracal doctor --json | jq '.checks[] | select(.verdict == \"problem\")'

Looked at: configuration, clock, what computes, ears, eyes and mouth of the model, voice activity, video reader, devices,
device token, and the link to the cluster. Nothing is changed, and nothing is sent to the cluster but a handshake.
Exit codes: 0 a conversation can be held, 1 something must be mended first, 2 wrong arguments.")]
pub struct Arguments {
    #[command(flatten)]
    options: ConfigOptions,
    /// Print a JSON object for programs.
    #[arg(long)]
    json: bool,
}

/// Runs the checks and prints them.
///
/// # Errors
/// Never: what is wrong is in the report.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let named = arguments.options.file().map_or("defaults".into(), |file| file.display().to_string());
    let mut report = match arguments.options.read() {
        Ok(config) => {
            // Loading networks takes a while: say what is going on, and wipe it away.
            let watched = std::io::stderr().is_terminal() && !arguments.json;
            let report = examine(&config, &mut |name| {
                if watched {
                    eprint!("\r\u{1b}[K  looking at: {name} …");
                }
            });
            if watched {
                eprint!("\r\u{1b}[K");
            }
            report
        }
        Err(error) => report_of(Check::error(error.to_string().replace('\n', "; "))),
    };
    if report.checks.first().is_none_or(|check| check.name != CONFIGURATION) {
        report.checks.insert(0, Check { name: CONFIGURATION, ..Check::ok(named) });
    }
    match arguments.json {
        true => println!("{}", report.json()),
        false => print!("{}", report.text(Paint::for_stdout())),
    }
    Ok(if report.healthy() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

const CONFIGURATION: &str = "configuration";

/// A file that cannot be read is all there is to say.
fn report_of(check: Check) -> Report {
    Report { checks: vec![Check { name: CONFIGURATION, ..check }] }
}
