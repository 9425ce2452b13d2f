//! The program `caracal` as its users meet it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Runs it in an empty folder, so that no configuration file of this machine counts.
fn caracal(arguments: &[&str]) -> Output {
    let folder = scratch("empty");
    Command::new(env!("CARGO_BIN_EXE_caracal")).args(arguments).current_dir(folder).output().expect("the program starts")
}

fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).expect("a scratch folder");
    folder
}

fn data(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data").join(name).display().to_string()
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn every_subcommand_has_help_with_an_example() {
    for subcommand in ["run", "doctor", "listen", "config", "completions"] {
        let help = caracal(&[subcommand, "--help"]);
        assert!(
            help.status.success() && out(&help).contains("Example") && out(&help).contains(&format!("caracal {subcommand}")),
            "{subcommand}"
        );
    }
    assert!(out(&caracal(&["--help"])).contains("caracal doctor"));
    assert_eq!(caracal(&["no-such-command"]).status.code(), Some(2));
    assert!(out(&caracal(&["completions", "bash"])).contains("complete"));
}

#[test]
fn printed_configuration_is_accepted_and_a_misspelt_one_is_refused_with_its_line() {
    let printed = caracal(&["config", "--print"]);
    assert!(printed.status.success());
    let file = scratch("config").join("caracal.toml");
    std::fs::write(&file, &printed.stdout).expect("room");
    let name = file.display().to_string();
    let checked = caracal(&["config", "--config", &name]);
    assert!(checked.status.success() && out(&checked).contains("every key is known"), "{}", err(&checked));
    let wrong = out(&printed).replace("endpoint_after", "endpoint_aftr");
    std::fs::write(&file, &wrong).expect("room");
    let refused = caracal(&["config", "--config", &name]);
    assert_eq!(refused.status.code(), Some(1));
    let line = 1 + wrong.lines().position(|line| line.starts_with("endpoint_aftr")).expect("it is there");
    assert!(err(&refused).contains(&format!("caracal.toml:{line}: unknown key `turn.endpoint_aftr`: did you mean `turn.endpoint_after`?")));
}

#[test]
fn doctor_says_what_is_missing_and_its_exit_code_too() {
    let healthy = caracal(&["doctor", "--json", "--model", "no-such-model"]);
    assert_eq!(healthy.status.code(), Some(1), "{}", err(&healthy));
    let report: serde_json::Value = serde_json::from_slice(&healthy.stdout).expect("JSON");
    let verdict = |name: &str| {
        let checks = report["checks"].as_array().expect("a list");
        checks.iter().find(|check| check["name"] == name).map(|check| check["verdict"].clone()).expect(name)
    };
    assert_eq!((verdict("configuration"), verdict("voice activity")), ("ok".into(), "ok".into()));
    assert_eq!((verdict("model"), verdict("token"), verdict("link")), ("problem".into(), "problem".into(), "problem".into()));
    let text = out(&caracal(&["doctor", "--model", "no-such-model"]));
    assert!(text.contains("no-such-model: no such folder") && text.contains("→ "), "{text}");
    assert!(!text.contains('\u{1b}'), "no colours into a pipe");
}

#[test]
fn listen_hears_the_turn_in_a_file_and_in_a_pipe_and_draws_it() {
    let picture = scratch("listen").join("turns.svg");
    let file = caracal(&["listen", "--sound", &data("demo/question.wav"), "--fast", "--timeline", &picture.display().to_string()]);
    assert!(file.status.success(), "{}", err(&file));
    let heard = out(&file);
    for part in ["speech from", "t1  a turn begins", "t3  an answer would be started", "t4  the turn is over"] {
        assert!(heard.contains(part), "{part}:\n{heard}");
    }
    let svg = std::fs::read_to_string(&picture).expect("the picture");
    assert!(svg.starts_with("<svg") && svg.contains("class=\"speech\""));
    let piped = Command::new(env!("CARGO_BIN_EXE_caracal"))
        .args(["listen", "--sound", "-"])
        .stdin(std::fs::File::open(data("demo/question.wav")).expect("a clip of this repository"))
        .stderr(Stdio::inherit())
        .output()
        .expect("the program starts");
    assert_eq!(out(&piped), heard, "a pipe is heard as the file is");
    let none = caracal(&["listen"]);
    assert!(none.status.code() == Some(1) && err(&none).contains("no sound to hear"), "{}", err(&none));
}

#[test]
fn a_conversation_with_nobody_to_trust_says_what_to_set() {
    let output = caracal(&["run", "--sound", &data("demo/question.wav")]);
    assert!(!output.status.success());
    let error = err(&output);
    assert!(error.contains("cluster.fingerprint") && error.contains("cluster.authority"), "{error}");
    let output = caracal(&["run", "--fast", "--sound", &data("demo/question.wav")]);
    assert!(!output.status.success() && err(&output).contains("--fast"), "{}", err(&output));
}
