//! What `caracal doctor` learns from a handshake, against a real QUIC endpoint.

use std::sync::Arc;

use caracal_edge::config::EdgeConfig;
use caracal_edge::doctor::{Verdict, link};
use caracal_edge::io::link_probe::probe;
use caracal_edge::io::trust::fingerprint;
use quinn::crypto::rustls::QuicServerConfig;
use rustls::pki_types::PrivateKeyDer;

/// An endpoint that shakes hands with whoever speaks `protocol`, on a port of its own, as long as the runtime lives.
fn serve(runtime: &tokio::runtime::Runtime, protocol: &[u8]) -> (String, String) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).expect("a certificate");
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("ring has TLS 1.3")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .expect("they belong together");
    tls.alpn_protocols = vec![protocol.to_vec()];
    let quic = QuicServerConfig::try_from(tls).expect("TLS 1.3");
    let _inside = runtime.enter();
    let config = quinn::ServerConfig::with_crypto(Arc::new(quic));
    let endpoint = quinn::Endpoint::server(config, ([127, 0, 0, 1], 0).into()).expect("a free port");
    let address = endpoint.local_addr().expect("bound").to_string();
    runtime.spawn(async move {
        while let Some(incoming) = endpoint.accept().await {
            tokio::spawn(async move {
                if let Ok(connection) = incoming.await {
                    connection.closed().await;
                }
            });
        }
    });
    (address, fingerprint(&certificate))
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime")
}

#[test]
fn a_cluster_that_answers_shows_its_certificate() {
    let runtime = runtime();
    let (address, shown) = serve(&runtime, b"caracal/1");
    let answer = probe(&address).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!((answer.address.to_string(), answer.fingerprint), (address, shown));
    assert!(answer.round_trip.as_secs() < 1, "{:?}", answer.round_trip);
    let (other, _) = serve(&runtime, b"h3");
    let error = probe(&other).expect_err("another protocol");
    assert!(error.contains(&other) && error.contains("does not shake hands"), "{error}");
}

#[test]
fn doctor_compares_the_certificate_with_the_one_that_is_expected() {
    let runtime = runtime();
    let (address, shown) = serve(&runtime, b"caracal/1");
    let mut config = EdgeConfig::default();
    config.cluster.address = address;
    let check = link::cluster(&config);
    assert!(check.verdict == Verdict::Problem && check.advice.is_some_and(|advice| advice.contains(&shown)), "nothing vouches for it");
    let colons: Vec<String> = shown.to_uppercase().as_bytes().chunks(2).map(|pair| String::from_utf8_lossy(pair).into_owned()).collect();
    for right in [shown.clone(), colons.join(":")] {
        config.cluster.fingerprint = right;
        let check = link::cluster(&config);
        assert!(check.verdict == Verdict::Ok && check.found.contains("ms there and back"), "{check:?}");
    }
    config.cluster.fingerprint = "00".repeat(32);
    let check = link::cluster(&config);
    assert!(check.verdict == Verdict::Problem && check.found.contains("another certificate"), "{check:?}");
}
