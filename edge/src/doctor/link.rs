//! Checks of the way to the cluster: the device token and the handshake.

use std::path::Path;

use super::Check;
use crate::config::{ClusterLink, EdgeConfig};
use crate::io::link_probe::probe;
use crate::token::tokens;

/// Fewest letters of a token that nobody can guess: 128 bits in hexadecimal.
const TOKEN_LETTERS_MIN: usize = 32;
/// Most bytes of a token file: more is another file.
const TOKEN_BYTES_MAX: u64 = 4096;

/// Reads the token file.
pub fn token(config: &EdgeConfig) -> Check {
    match &config.cluster.token {
        None => Check::problem(
            "no device token is configured",
            "Name its file with `cluster.token`; `caracal-cluster serve` says where it keeps the tokens.",
        ),
        Some(file) => token_file(file),
    }
}

fn token_file(file: &Path) -> Check {
    let name = file.display();
    let bytes = match std::fs::metadata(file) {
        Err(error) => return Check::problem(format!("{name}: cannot be read: {error}"), "Correct `cluster.token`."),
        Ok(found) if !found.is_file() => return Check::problem(format!("{name}: no file"), "Correct `cluster.token`."),
        Ok(found) => found.len(),
    };
    if bytes > TOKEN_BYTES_MAX {
        return Check::problem(format!("{name}: {bytes} bytes, a token has less than {TOKEN_BYTES_MAX}"), "Correct `cluster.token`.");
    }
    let letters = match std::fs::read_to_string(file) {
        Err(error) => return Check::problem(format!("{name}: cannot be read: {error}"), "Correct `cluster.token`."),
        Ok(text) => tokens(&text).next().unwrap_or_default().len(),
    };
    if letters < TOKEN_LETTERS_MIN {
        let found = format!("{name}: {letters} letters, expected at least {TOKEN_LETTERS_MIN}");
        return Check::problem(found, "Copy the whole token from the cluster.");
    }
    match others_may_read(file) {
        true => Check::note(format!("{name}: others on this device may read it"), format!("Run `chmod 600 {name}`.")),
        false => Check::ok(format!("{name}: {letters} letters, readable by its owner alone")),
    }
}

#[cfg(unix)]
fn others_may_read(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(file).is_ok_and(|found| found.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn others_may_read(_: &Path) -> bool {
    false
}

/// Shakes hands with the cluster and compares its certificate with the one that is expected.
pub fn cluster(config: &EdgeConfig) -> Check {
    let ClusterLink { address, fingerprint, authority, .. } = &config.cluster;
    let answer = match probe(address) {
        Err(error) => {
            let advice = "Start `caracal-cluster serve` there, correct `cluster.address`, or let UDP through the firewall.";
            return Check::problem(error, advice);
        }
        Ok(answer) => answer,
    };
    let found = format!("{} answers, {:.1} ms there and back", answer.address, answer.round_trip.as_secs_f64() * 1e3);
    let expected: String = fingerprint.chars().filter(|c| *c != ':').collect::<String>().to_lowercase();
    match (expected == answer.fingerprint, expected.is_empty(), authority) {
        (true, ..) => Check::ok(format!("{found}; its certificate is the one that is expected")),
        (false, true, Some(file)) => Check::ok(format!("{found}; its certificate will be checked against {}", file.display())),
        (false, true, None) => Check::problem(
            format!("{found}; it shows a certificate that nothing vouches for"),
            format!("If the cluster printed the same, set `cluster.fingerprint = \"{}\"`.", answer.fingerprint),
        ),
        (false, false, _) => Check::problem(
            format!("{found}; it shows another certificate ({}) than `cluster.fingerprint`", answer.fingerprint),
            "Somebody stands between, or the cluster was set up anew: compare with what it prints when it starts.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    #[test]
    fn tokens_are_judged() {
        let folder = std::env::temp_dir().join(format!("caracal-token-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a scratch folder");
        let file = folder.join("token");
        assert_eq!(token_file(&file).verdict, Verdict::Problem, "missing");
        assert_eq!(token_file(&folder).verdict, Verdict::Problem, "a folder");
        std::fs::write(&file, "short\n").expect("room");
        assert!(token_file(&file).found.contains("5 letters"));
        std::fs::write(&file, "short # the kitchen's, and a remark that is no part of the token\n").expect("room");
        assert!(token_file(&file).found.contains("5 letters"));
        std::fs::write(&file, "0123456789abcdef0123456789abcdef\n").expect("room");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).expect("ours");
            let open = token_file(&file);
            assert!(open.verdict == Verdict::Note && open.advice.as_deref().is_some_and(|a| a.starts_with("Run `chmod 600")), "{open:?}");
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("ours");
        }
        assert_eq!(token_file(&file).verdict, Verdict::Ok);
        std::fs::write(&file, vec![b'x'; 5000]).expect("room");
        assert!(token_file(&file).found.contains("5000 bytes"));
        assert_eq!(token(&EdgeConfig::default()).verdict, Verdict::Problem);
        std::fs::remove_dir_all(&folder).expect("ours");
    }
}
