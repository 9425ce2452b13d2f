//! `caracal config`: check a configuration file, or print every default.

use std::process::ExitCode;

use anyhow::Result;

use super::options::ConfigOptions;
use crate::config::EdgeConfig;
use crate::settings::print;

/// First words of a printed file.
const INTRODUCTION: &str = "Configuration of caracal. Every key is shown with its default; leave out what you do not change. Times, \
rates and sizes are written with their unit, in quotes.";

/// Check a configuration file, or print all keys with their defaults, ranges and meanings.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  caracal config --print > caracal.toml     start a configuration file
  caracal config                            check caracal.toml of this folder
  caracal config --config kiosk.toml        check another one

Exit codes: 0 the file can be used, 1 it cannot, 2 wrong arguments.")]
pub struct Arguments {
    /// Print every key with the value that counts, as a file. Without a configuration file these are the defaults.
    #[arg(long)]
    print: bool,
    #[command(flatten)]
    options: ConfigOptions,
}

/// Does it.
///
/// # Errors
/// When the file cannot be used; every problem with its line.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let mut config: EdgeConfig = arguments.options.read()?;
    if arguments.print {
        print!("{}", print(&mut config, INTRODUCTION));
        return Ok(ExitCode::SUCCESS);
    }
    match arguments.options.file() {
        Some(file) => println!("{}: every key is known and every value can be used.", file.display()),
        None => println!("There is no caracal.toml here: the defaults count. `caracal config --print` shows them."),
    }
    Ok(ExitCode::SUCCESS)
}
