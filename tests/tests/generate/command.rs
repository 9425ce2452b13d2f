//! The command line in this process: what it writes, and what it refuses to write.

use caracal_cluster::generate::command::{Arguments, run};
use clap::Parser;

use super::{case_file, model};

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    arguments: Arguments,
}

fn command(words: &[&str]) -> Result<(), String> {
    let line = Line::try_parse_from(["generate"].iter().chain(words)).map_err(|e| e.to_string())?;
    run(&line.arguments).map_err(|e| format!("{e:#}"))
}

#[test]
fn the_files_of_a_case_are_written() {
    let (model, out) = (model(), tempfile::tempdir().unwrap());
    let (model, case) = (model.path().to_str().unwrap(), case_file("text_case"));
    let folder = out.path().join("new/folder");
    command(&["--model", model, case.to_str().unwrap(), "--out", folder.to_str().unwrap(), "--max-steps", "20", "--device", "cpu"])
        .unwrap();
    assert!(folder.join("text_case.json").exists() && folder.join("text_case.wav").exists());
    let folder = out.path().join("written");
    command(&["--model", model, case.to_str().unwrap(), "--out", folder.to_str().unwrap(), "--text-only", "--json"]).unwrap();
    assert!(folder.join("text_case.json").exists() && !folder.join("text_case.wav").exists());
}

#[test]
fn the_conversation_is_never_written_over() {
    let (model, folder) = (model(), tempfile::tempdir().unwrap());
    let case = folder.path().join("case.json");
    std::fs::copy(case_file("text_case"), &case).unwrap();
    let error = command(&["--model", model.path().to_str().unwrap(), case.to_str().unwrap(), "--out", folder.path().to_str().unwrap()])
        .unwrap_err();
    assert!(error.contains("case.json") && error.contains("--out"), "{error}");
    assert_eq!(std::fs::read(&case).unwrap(), std::fs::read(case_file("text_case")).unwrap());
}

#[test]
fn arguments_that_make_no_sense_are_refused() {
    for (words, named) in [
        (&["case.json"][..], "--model"),
        (&["--model", "m"], "<CASE>"),
        (&["--model", "m", "c", "--max-steps", "0"], "--max-steps"),
        (&["--model", "m", "c", "--device", "abacus"], "`auto`, `cpu` or `wgpu`"),
        (&["--model", "m", "c", "--temperature", "-1"], "--temperature"),
        (&["--model", "m", "c", "--top-p", "NaN"], "--top-p"),
    ] {
        let error = command(words).expect_err(named);
        assert!(error.contains(named), "{words:?}: {error}");
    }
}
