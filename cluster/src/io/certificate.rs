//! The cluster's certificate and device token: made at the first start, kept in the state folder.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use caracal_edge::io::trust::fingerprint;
use caracal_shared::limits::NAME_BYTES_MAX;
use caracal_shared::wire::ALPN;
use quinn::crypto::rustls::QuicServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::randomness::random;

/// Bytes of a made token before it is written in hexadecimal.
const TOKEN_BYTES: usize = 24;
/// Files of the state folder.
const CERTIFICATE: &str = "certificate.pem";
const KEY: &str = "key.pem";
const TOKENS: &str = "tokens";

/// The state folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", file.display())]
pub struct StateError {
    /// Which file.
    pub file: PathBuf,
    /// What is wrong, and what to do.
    pub problem: String,
}

/// What a cluster shows, and what edges must show.
#[derive(Debug)]
pub struct Credentials {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
    /// Device tokens.
    pub tokens: Vec<String>,
}

impl Credentials {
    /// Reads them from `folder`; makes what is not there, for the host `names`.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn open(folder: &Path, names: &[String]) -> Result<Self, StateError> {
        let wrong = |file: &Path, problem: String| StateError { file: file.into(), problem };
        std::fs::create_dir_all(folder).map_err(|e| wrong(folder, format!("cannot be made: {e}. Name another folder with --state.")))?;
        let (certificate_file, key_file) = (folder.join(CERTIFICATE), folder.join(KEY));
        if !certificate_file.exists() && !key_file.exists() {
            let made = rcgen::generate_simple_self_signed(names.to_vec())
                .map_err(|e| wrong(&certificate_file, format!("cannot be made for {names:?}: {e}. Check the host names.")))?;
            write_private(&key_file, made.signing_key.serialize_pem().as_bytes())?;
            write_private(&certificate_file, made.cert.pem().as_bytes())?;
        }
        let advice = "Delete certificate.pem and key.pem together and start again: edges then need the new fingerprint";
        let certificate = CertificateDer::from_pem_file(&certificate_file)
            .map_err(|e| wrong(&certificate_file, format!("no certificate: {e}. {advice}.")))?;
        let key = PrivateKeyDer::from_pem_file(&key_file).map_err(|e| wrong(&key_file, format!("no key: {e}. {advice}.")))?;
        Ok(Self { certificate, key, tokens: tokens(&folder.join(TOKENS))? })
    }

    /// SHA-256 of the certificate in hexadecimal: what an edge pins.
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.certificate)
    }

    /// A QUIC server that speaks `caracal/1` over TLS 1.3 and nothing else.
    ///
    /// # Errors
    /// In words, when certificate and key do not belong together.
    pub fn server(&self) -> Result<QuicServerConfig, String> {
        let mut tls = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|e| e.to_string())?
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate.clone()], self.key.clone_key())
            .map_err(|e| format!("{CERTIFICATE} and {KEY} do not belong together: {e}"))?;
        tls.alpn_protocols = vec![ALPN.to_vec()];
        QuicServerConfig::try_from(tls).map_err(|e| e.to_string())
    }
}

/// One token a line; what follows a `#` is a remark.
fn tokens(file: &Path) -> Result<Vec<String>, StateError> {
    let wrong = |problem: String| StateError { file: file.into(), problem };
    if !file.exists() {
        let bytes = random::<TOKEN_BYTES>().ok_or_else(|| wrong("the system gives no randomness to make it of".into()))?;
        let token: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        write_private(file, format!("{token}\n").as_bytes())?;
    }
    let text = std::fs::read_to_string(file).map_err(|e| wrong(format!("cannot be read: {e}")))?;
    let tokens: Vec<String> = caracal_edge::token::tokens(&text).map(str::to_string).collect();
    match tokens.iter().find(|token| token.len() > NAME_BYTES_MAX) {
        Some(_) => Err(wrong(format!("a token is longer than {NAME_BYTES_MAX} bytes. Make it shorter."))),
        None if tokens.is_empty() => Err(wrong("holds no token, so no edge could connect. Delete it to get one made.".into())),
        None => Ok(tokens),
    }
}

/// Written once, readable by its owner only.
fn write_private(file: &Path, bytes: &[u8]) -> Result<(), StateError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(file).and_then(|mut opened| opened.write_all(bytes));
    written
        .or_else(|e| if e.kind() == ErrorKind::AlreadyExists { Ok(()) } else { Err(e) })
        .map_err(|e| StateError { file: file.into(), problem: format!("cannot be written: {e}. Name another folder with --state.") })
}
