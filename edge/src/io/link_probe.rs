//! A handshake with the cluster and nothing more: whether it answers, how far away it is, and which certificate it shows.
//!
//! The certificate is not trusted here: it is only looked at, and nothing is sent, no token and no data. Who may be talked to
//! is decided when a conversation begins.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use quinn::rustls::pki_types::CertificateDer;

use super::address;
use super::trust::{fingerprint, onlooker};

/// How long the system may take to find the addresses of a name.
const NAME_PATIENCE: Duration = Duration::from_secs(3);

/// What a cluster showed of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Where it is.
    pub address: SocketAddr,
    /// Time there and back.
    pub round_trip: Duration,
    /// SHA-256 of its certificate, 64 hexadecimal digits.
    pub fingerprint: String,
}

/// Shakes hands with the cluster at `address` (host and port) and hangs up.
///
/// # Errors
/// What failed, for people: the name, the way there, or the other side.
pub fn probe(address: &str) -> Result<Answer, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| format!("no runtime: {e}"))?;
    runtime.block_on(async {
        let found = tokio::time::timeout(NAME_PATIENCE, address::find(address, None)).await;
        let found = found.map_err(|_| format!("{address}: nobody says what address the name has"))??;
        address::first_answer(&found, async |to| shake(address, to).await).await
    })
}

async fn shake(address: &str, to: SocketAddr) -> Result<Answer, String> {
    let endpoint = quinn::Endpoint::client(address::local_for(to)).map_err(|e| format!("no UDP socket can be opened: {e}"))?;
    let client = quinn::ClientConfig::new(Arc::new(onlooker().map_err(|e| e.to_string())?));
    let connecting = endpoint.connect_with(client, to, address::host(address)).map_err(|e| e.to_string())?;
    let connection = connecting.await.map_err(|e| format!("does not shake hands: {e}"))?;
    let round_trip = connection.rtt();
    let identity = connection.peer_identity().and_then(|identity| identity.downcast::<Vec<CertificateDer<'static>>>().ok());
    let certificate = identity.and_then(|chain| chain.first().cloned()).ok_or("shows no certificate")?;
    connection.close(0u32.into(), b"only looking");
    endpoint.wait_idle().await;
    Ok(Answer { address: to, round_trip, fingerprint: fingerprint(&certificate) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_there_and_no_such_name_are_told_apart() {
        // A socket that is bound and never read: packets arrive and nobody answers.
        let silent = std::net::UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let address = silent.local_addr().expect("bound").to_string();
        let error = probe(&address).expect_err("nobody answers");
        assert!(error.contains("no answer") && error.contains(&address), "{error}");
        let error = probe("no-such-host.invalid:4433").expect_err("no such name");
        assert!(error.contains("the name has no address") || error.contains("nobody says"), "{error}");
    }

    #[test]
    fn a_fingerprint_is_the_sha_256_of_the_certificate() {
        assert_eq!(fingerprint(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
