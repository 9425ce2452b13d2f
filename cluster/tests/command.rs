//! `caracal-cluster` as a program: exit codes, what goes to stdout, what goes to stderr.

use std::process::{Command, Output};

fn run(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_caracal-cluster")).args(words).output().expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn help_shows_examples_and_exit_codes() {
    let shown = run(&["generate", "--help"]);
    assert_eq!(shown.status.code(), Some(0));
    let help = text(&shown.stdout);
    assert!(["Examples:", "--text-only", "--max-steps", "Exit codes: 0"].iter().all(|part| help.contains(part)), "{help}");
}

#[test]
fn wrong_arguments_are_code_two_and_failures_code_one() {
    for words in [&[][..], &["generate"], &["generate", "--model", "m", "case.json", "--max-steps", "none"], &["degenerate"]] {
        assert_eq!(run(words).status.code(), Some(2), "{words:?}");
    }
    let folder = std::env::temp_dir();
    let failed = run(&["generate", "--model", &folder.to_string_lossy(), "no such case.json"]);
    assert_eq!((failed.status.code(), text(&failed.stdout)), (Some(1), String::new()));
    let complaint = text(&failed.stderr);
    // A graphics driver may have its own say before.
    let ours = complaint.lines().find(|line| line.starts_with("caracal-cluster: "));
    assert!(ours.is_some_and(|line| line.starts_with("caracal-cluster: no such case.json: cannot be read")), "{complaint}");
}

#[test]
fn completions_know_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&["completions", shell]);
        assert!(script.status.success() && text(&script.stdout).contains("generate"), "{shell}");
    }
}

#[test]
fn the_printed_configuration_is_one_and_a_wrong_key_is_refused_with_what_was_meant() {
    let printed = run(&["serve", "--print-config", "--sessions", "3"]);
    assert!(printed.status.success() && text(&printed.stdout).contains("sessions = 3"), "{}", text(&printed.stdout));
    let file = std::env::temp_dir().join(format!("caracal-cluster-{}.toml", std::process::id()));
    let file = file.to_string_lossy();
    std::fs::write(&*file, &printed.stdout).expect("room");
    let again = run(&["serve", "--config", &file, "--print-config"]);
    assert_eq!(text(&again.stdout), text(&printed.stdout));
    std::fs::write(&*file, "sesions = 4\n").expect("room");
    let refused = run(&["serve", "--config", &file, "--print-config"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("sessions"), "{}", text(&refused.stderr));
    std::fs::remove_file(&*file).expect("ours");
}
