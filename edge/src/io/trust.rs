//! Whom the edge believes to be its cluster: one certificate by its fingerprint, or any that an authority signed.

use std::path::PathBuf;
use std::sync::Arc;

use quinn::crypto::rustls::QuicClientConfig;
use quinn::rustls;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use caracal_shared::wire::ALPN;
use sha2::{Digest, Sha256};

/// Why nobody can be believed.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// Neither a fingerprint nor an authority is configured.
    #[error(
        "nothing says which cluster to trust. Set cluster.fingerprint to the line that the cluster printed at its start, or cluster.authority to a CA file."
    )]
    Nothing,
    /// The fingerprint is none.
    #[error("cluster.fingerprint is `{found}`, expected 64 hexadecimal digits. Copy the line that the cluster printed at its start.")]
    Fingerprint {
        /// What was given.
        found: String,
    },
    /// The authority's file cannot be used.
    #[error("{}: {problem}. cluster.authority must be a PEM file with certificates.", file.display())]
    Authority {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The TLS library refuses the whole.
    #[error("TLS 1.3 cannot be set up: {0}")]
    Tls(String),
}

/// Whom to believe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Exactly this certificate: SHA-256 in hexadecimal; colons and capitals do not matter.
    Fingerprint(String),
    /// Certificates signed by one of those in this PEM file, for the host that is dialled.
    Authority(PathBuf),
}

impl Trust {
    /// A QUIC client that speaks `caracal/1` to whom it believes, and nothing else.
    ///
    /// # Errors
    /// [`TrustError`].
    pub fn client(&self) -> Result<QuicClientConfig, TrustError> {
        let tls = match self {
            Self::Fingerprint(text) => {
                let pinned: String = text.chars().filter(|c| *c != ':').collect::<String>().to_lowercase();
                if pinned.len() != 64 || !pinned.chars().all(|c| c.is_ascii_hexdigit()) {
                    return Err(TrustError::Fingerprint { found: text.clone() });
                }
                certificate_checked_by_hand(Some(pinned))?
            }
            Self::Authority(file) => {
                let wrong = |problem: String| TrustError::Authority { file: file.clone(), problem };
                let mut roots = RootCertStore::empty();
                for certificate in CertificateDer::pem_file_iter(file).map_err(|e| wrong(e.to_string()))? {
                    roots.add(certificate.map_err(|e| wrong(e.to_string()))?).map_err(|e| wrong(e.to_string()))?;
                }
                if roots.is_empty() {
                    return Err(wrong("it holds no certificate".into()));
                }
                tls_13(&Arc::new(ring::default_provider()))?.with_root_certificates(roots).with_no_client_auth()
            }
        };
        quic(tls)
    }
}

/// A client that shakes hands with anybody, to look at the certificate: nothing may be said over its connections.
///
/// # Errors
/// [`TrustError::Tls`].
pub(super) fn onlooker() -> Result<QuicClientConfig, TrustError> {
    quic(certificate_checked_by_hand(None)?)
}

/// SHA-256 of a certificate, 64 hexadecimal digits.
pub fn fingerprint(certificate: &[u8]) -> String {
    Sha256::digest(certificate).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn tls_13(provider: &Arc<CryptoProvider>) -> Result<rustls::ConfigBuilder<rustls::ClientConfig, rustls::WantsVerifier>, TrustError> {
    let builder = rustls::ClientConfig::builder_with_provider(provider.clone());
    builder.with_protocol_versions(&[&rustls::version::TLS13]).map_err(|e| TrustError::Tls(e.to_string()))
}

fn certificate_checked_by_hand(pinned: Option<String>) -> Result<rustls::ClientConfig, TrustError> {
    let provider = Arc::new(ring::default_provider());
    let builder = tls_13(&provider)?.dangerous();
    Ok(builder.with_custom_certificate_verifier(Arc::new(Pin { pinned, provider })).with_no_client_auth())
}

fn quic(mut tls: rustls::ClientConfig) -> Result<QuicClientConfig, TrustError> {
    tls.alpn_protocols = vec![ALPN.to_vec()];
    QuicClientConfig::try_from(tls).map_err(|e| TrustError::Tls(e.to_string()))
}

/// Believes one certificate, or with none pinned any, and that only with its key.
#[derive(Debug)]
struct Pin {
    pinned: Option<String>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pin {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.pinned.as_ref().is_none_or(|pinned| fingerprint(certificate) == *pinned) {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)),
        }
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("QUIC needs TLS 1.3".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
