//! `cargo xtask demo`: kitten holds a conversation, in one process or in two.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

use crate::{cargo, root, setup};

/// The conversation that the repository ships.
const SCRIPT: &str = "tests/data/conversation/conversation.toml";

/// What to say and where to put the answers.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask demo
  cargo xtask demo --two-processes
  cargo xtask demo --audio question.wav --image scene.png
  cargo xtask demo --model models/my-model --audio question.wav")]
pub struct Arguments {
    /// Folder for the answers and the pictures of the turns.
    #[arg(long, default_value = "out/demo")]
    out: PathBuf,
    /// Model folder in the published layout.
    #[arg(long, default_value = "models/kitten")]
    model: PathBuf,
    /// Ask this instead of the shipped conversation: a WAV, FLAC or MP3 file.
    #[arg(long, value_name = "FILE")]
    audio: Option<PathBuf>,
    /// Show this picture before asking.
    #[arg(long, value_name = "FILE", requires = "audio")]
    image: Option<PathBuf>,
    /// Run edge and cluster as two programs that talk over QUIC.
    #[arg(long)]
    two_processes: bool,
}

/// Builds, holds the conversation, and says where to look and what to listen to.
///
/// # Errors
/// When something is missing, or an answer is not the one that the script knows.
pub fn run(arguments: &Arguments) -> Result<()> {
    setup::conversation()?;
    eprintln!("building; the first time takes some minutes");
    crate::run(&mut cargo(&["build", "--release", "--package", "caracal-cluster", "--package", "caracal-edge", "--bins"]))?;
    let programs = std::env::current_exe()?.parent().map(Path::to_path_buf).context("this program lies in no folder")?;
    let (out, model) = (root().join(&arguments.out), root().join(&arguments.model));
    std::fs::create_dir_all(&out).with_context(|| format!("{}: cannot be made", out.display()))?;
    let script = match &arguments.audio {
        Some(audio) => own_script(&out, audio, arguments.image.as_deref())?,
        None => root().join(SCRIPT),
    };
    let (answers, timeline) = (out.join("answers.wav"), out.join("timeline.svg"));
    let talk = |command: &mut Command| {
        let command = command.arg("--script").arg(&script).arg("--answer").arg(&answers).arg("--timeline").arg(&timeline);
        crate::run(command).context("the conversation did not go as it should")
    };
    if arguments.two_processes {
        let (cluster, config) = Cluster::start(&programs, &model, &out)?;
        talk(Command::new(programs.join("caracal")).args([Path::new("run"), Path::new("--config"), &config]))?;
        drop(cluster);
    } else {
        talk(Command::new(programs.join("caracal-cluster")).args([Path::new("local"), Path::new("--model"), &model]))?;
    }
    println!("\nlisten to {}\nlook at  {}", answers.display(), timeline.display());
    Ok(())
}

/// A script of one turn.
fn own_script(out: &Path, audio: &Path, image: Option<&Path>) -> Result<PathBuf> {
    let quoted = |file: &Path| {
        let file = file.canonicalize().with_context(|| format!("{}: cannot be read", file.display()))?;
        // A JSON string is a TOML string.
        Ok::<_, anyhow::Error>(format!("{:?}", file.display().to_string()))
    };
    let mut text = format!("[[turn]]\nsound = {}\n", quoted(audio)?);
    if let Some(image) = image {
        text += &format!("picture = {}\n", quoted(image)?);
    }
    let script = out.join("own.toml");
    std::fs::write(&script, text).with_context(|| format!("{}: cannot be written", script.display()))?;
    Ok(script)
}

/// A cluster in a process of its own; it ends with this value.
struct Cluster(Child);

impl Cluster {
    /// Starts it on a free port of this machine, and writes the configuration of an edge that trusts it.
    fn start(programs: &Path, model: &Path, out: &Path) -> Result<(Self, PathBuf)> {
        let state = out.join("cluster-state");
        let mut command = Command::new(programs.join("caracal-cluster"));
        command.args([Path::new("serve"), Path::new("--model"), model, Path::new("--state"), &state]).args(["--listen", "127.0.0.1:0"]);
        let mut child = command.stdout(Stdio::piped()).spawn().context("caracal-cluster cannot be started")?;
        let lines = BufReader::new(child.stdout.take().context("it has an output")?).lines();
        let cluster = Self(child);
        let (mut address, mut fingerprint, mut token) = (None, None, None);
        for line in lines {
            let line = line?;
            println!("cluster: {line}");
            if let Some(rest) = line.strip_prefix("listening on ") {
                address = rest.split(' ').next().and_then(|address| address.rsplit(':').next()).map(str::to_string);
            }
            fingerprint = fingerprint.or(line.strip_prefix("fingerprint ").map(str::to_string));
            token = token.or(line.strip_prefix("token file").map(|file| file.trim().to_string()));
            if token.is_some() {
                break;
            }
        }
        let (Some(port), Some(fingerprint), Some(token)) = (address, fingerprint, token) else {
            anyhow::bail!("the cluster ended before it listened; what it said is above");
        };
        let config = out.join("caracal.toml");
        let text = format!(
            "model = {:?}\n[cluster]\naddress = \"127.0.0.1:{port}\"\nfingerprint = \"{fingerprint}\"\ntoken = {token:?}\n",
            model.display().to_string()
        );
        std::fs::write(&config, text).with_context(|| format!("{}: cannot be written", config.display()))?;
        Ok((cluster, config))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
