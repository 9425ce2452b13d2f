//! One run of `ffmpeg` or `ffprobe`: its output as a stream, and its own words when it fails.
//!
//! Both read local files only, whatever a playlist inside a file asks for. The programs are found through `PATH`.

use std::ffi::OsString;
use std::io::{BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::JoinHandle;

use super::VideoError;

/// Bytes of a program's complaint that are kept: the first lines say what is wrong, the rest repeats them.
const COMPLAINT_BYTES_MAX: u64 = 2048;
/// Bytes read from the child at a time: one system call for several lines, or for a part of a picture.
const READ_BYTES: usize = 1 << 16;

/// A running child. Dropping it ends the program.
pub struct Running {
    child: Child,
    complaint: Option<JoinHandle<String>>,
    /// What the program writes.
    pub output: BufReader<ChildStdout>,
}

/// The way to hand `file` to either program: an absolute local path that cannot be taken for an option or an address.
///
/// # Errors
/// [`VideoError::Unreadable`] when there is no such file.
pub fn input(file: &Path) -> Result<OsString, VideoError> {
    let unreadable = |source| VideoError::Unreadable { file: file.to_path_buf(), source };
    let absolute = file.canonicalize().map_err(unreadable)?;
    if !absolute.is_file() {
        return Err(unreadable(std::io::Error::other("not a regular file")));
    }
    let mut input = OsString::from("file:");
    input.push(absolute);
    Ok(input)
}

impl Running {
    /// Starts `program` with `arguments`.
    ///
    /// # Errors
    /// [`VideoError::ProgramMissing`] when it is not installed or cannot be started.
    #[allow(clippy::disallowed_methods, reason = "io may spawn: a full pipe of complaints would stop the child")]
    pub fn start(program: &'static str, arguments: &[OsString]) -> Result<Self, VideoError> {
        let mut child = Command::new(program)
            .args(["-v", "error", "-protocol_whitelist", "file,pipe"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|source| VideoError::ProgramMissing { program, source })?;
        let output = BufReader::with_capacity(READ_BYTES, child.stdout.take().expect("stdout is piped"));
        let mut stderr = child.stderr.take().expect("stderr is piped");
        let complaint = std::thread::spawn(move || {
            let mut kept = Vec::new();
            let _ = stderr.by_ref().take(COMPLAINT_BYTES_MAX).read_to_end(&mut kept);
            let _ = std::io::copy(&mut stderr, &mut std::io::sink());
            String::from_utf8_lossy(&kept).trim().replace('\n', "; ")
        });
        Ok(Self { child, complaint: Some(complaint), output })
    }

    /// Waits for the end: whether the program was content, and what it complained about.
    pub fn finish(mut self) -> (bool, String) {
        let content = self.child.wait().is_ok_and(|status| status.success());
        let complaint = self.complaint.take().and_then(|reader| reader.join().ok()).unwrap_or_default();
        (content, complaint)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only for a child that has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_named_with_what_to_install() {
        let error = Running::start("caracal-has-no-such-program", &[]).err().expect("there is no such program").to_string();
        assert!(error.contains("caracal-has-no-such-program") && error.contains("apt-get install ffmpeg"), "{error}");
    }

    #[test]
    fn input_is_an_existing_file_and_never_an_address() {
        for name in ["no such file.mp4", "http://example.org/a.mp4", "/dev/zero", "/"] {
            assert!(matches!(input(Path::new(name)), Err(VideoError::Unreadable { .. })), "{name}");
        }
    }
}
