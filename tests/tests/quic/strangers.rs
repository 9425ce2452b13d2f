//! Who comes without a right, with garbage, or too often: refused with a reason, counted, and nobody else notices.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use caracal_edge::conversation::Story;
use caracal_edge::identity::model_identity;
use caracal_edge::io::trust::Trust;
use caracal_shared::session::Ending;
use caracal_shared::turn::{AttemptId, TurnId};
use caracal_shared::wire::{
    AudioCut, ClusterMessage, Continue, EdgeMessage, Embeddings, Hello, Model, Precision, Reason, Ticket, UnitReader, VERSION, write_unit,
};
use caracal_tests::live::{Cluster, Edge, EdgeOptions};
use quinn::{ClientConfig, Connection, ConnectionError, Endpoint, TransportConfig, TransportErrorCode};

use super::{Place, settled};

fn client(cluster: &Cluster) -> ClientConfig {
    ClientConfig::new(Arc::new(Trust::Fingerprint(cluster.fingerprint.clone()).client().expect("TLS")))
}

fn hello(place: &Place, cluster: &Cluster) -> Hello {
    let identity = model_identity(place.model()).expect("a model");
    let model = Model { identity, audio_cut: AudioCut::Projected, precision: Precision::Int8, audio_width: 64, vision_width: 0 };
    Hello { version: VERSION, token: cluster.token.clone(), model, resume: None }
}

fn unit(message: &EdgeMessage) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_unit(message, &mut bytes);
    bytes
}

async fn connect(cluster: &Cluster, config: ClientConfig) -> Connection {
    let mut endpoint = Endpoint::client(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port");
    endpoint.set_default_client_config(config);
    endpoint.connect(cluster.address(), "localhost").expect("an address").await.expect("a handshake")
}

/// Sends these bytes on a new connection and reads what is answered.
fn answers(cluster: &Cluster, bytes: &[u8]) -> Vec<ClusterMessage> {
    cluster.runtime().block_on(async {
        let connection = connect(cluster, client(cluster)).await;
        let (mut send, mut receive) = connection.open_bi().await.expect("a stream");
        send.write_all(bytes).await.expect("it is taken");
        let (mut reader, mut messages) = (UnitReader::default(), Vec::new());
        let read = async {
            while let Ok(Some(chunk)) = receive.read_chunk(4096, true).await {
                reader.push(&chunk.bytes);
                while let Some(message) = reader.next_unit().expect("the cluster speaks its own wire") {
                    messages.push(message);
                }
            }
        };
        let _ = tokio::time::timeout(Duration::from_secs(3), read).await;
        messages
    })
}

fn refusal(messages: &[ClusterMessage]) -> Option<Reason> {
    messages.iter().find_map(|message| if let ClusterMessage::Refusal(refusal) = message { Some(refusal.reason) } else { None })
}

#[test]
fn greetings_that_do_not_fit_are_refused_with_their_reason() {
    let place = Place::new();
    let cluster = place.cluster();
    let good = hello(&place, &cluster);
    let with = |change: &dyn Fn(&mut Hello)| {
        let mut hello = good.clone();
        change(&mut hello);
        unit(&EdgeMessage::Hello(hello))
    };
    let unknown = Continue { ticket: Ticket([5; 16]), received: 0, restarted: false };
    let cases: [(Vec<u8>, Reason); 9] = [
        (with(&|hello| hello.version = 2), Reason::Version),
        (with(&|hello| hello.token = "guess".into()), Reason::Token),
        (with(&|hello| hello.model.identity = "another".into()), Reason::Model),
        (with(&|hello| hello.model.audio_width = 65), Reason::Settings),
        (with(&|hello| hello.resume = Some(unknown)), Reason::Ticket),
        (unit(&EdgeMessage::TurnStart(TurnId(0))), Reason::Protocol),
        (b"GET / HTTP/1.1\r\n".repeat(8), Reason::Protocol),
        (vec![0xff; 64], Reason::Protocol),
        // A megabyte is announced, which a session could send: nobody waits for it, or keeps it.
        (vec![0x80, 0x80, 0x40, 1, 2], Reason::Protocol),
    ];
    for (bytes, reason) in cases {
        let answer = answers(&cluster, &bytes);
        assert_eq!(refusal(&answer), Some(reason), "{answer:?}");
        std::thread::sleep(Duration::from_millis(130));
    }
    assert!(cluster.metric("caracal_refused_total{reason=\"token\"}") == 1.0);
    assert!(cluster.metric("caracal_refused_total{reason=\"protocol\"}") == 4.0);
    assert!(cluster.transcripts().is_empty());
    let text = scrape(&cluster);
    for line in ["caracal_refused_total{reason=\"model\"} 1", "caracal_sessions 0", "caracal_kv_blocks_free", "caracal_rollbacks_total 0"] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

/// The metrics as Prometheus gets them.
fn scrape(cluster: &Cluster) -> String {
    use std::io::{Read, Write};
    let metrics = cluster.host.handle().metrics().clone();
    let served = cluster.runtime().block_on(caracal_cluster::io::metrics::serve(SocketAddr::from(([127, 0, 0, 1], 0)), metrics));
    let mut stream = std::net::TcpStream::connect(served.expect("a free port")).expect("it listens");
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").expect("it is taken");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("text");
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    text
}

#[test]
fn garbage_and_nonsense_in_a_session_end_that_session_only() {
    let place = Place::new();
    let cluster = place.cluster();
    let options = EdgeOptions { speech: vec![(400, 1400), (4500, 5300)], until_ms: 9500, ..EdgeOptions::default() };
    let start = unit(&EdgeMessage::Hello(hello(&place, &cluster)));
    let wide = Embeddings::pack(&[1.0; 65], 65, Precision::Int8);
    let bad = [
        vec![0xff; 40],
        vec![3, 1, 2, 3],
        unit(&EdgeMessage::Ack(7)),
        [unit(&EdgeMessage::TurnStart(TurnId(0))), unit(&EdgeMessage::TurnStart(TurnId(1)))].concat(),
        [unit(&EdgeMessage::TurnStart(TurnId(0))), unit(&EdgeMessage::Audio { turn: TurnId(0), provisional: None, embeddings: wide })]
            .concat(),
    ];
    let mut refused = Vec::new();
    let mut next = bad.iter();
    let edge = Edge::live(place.model(), cluster.address(), &cluster.fingerprint, &cluster.token, &options, true, |ms, _| {
        if ms > 800
            && let Some(bytes) = next.next()
        {
            refused.push(refusal(&answers(&cluster, &[start.clone(), bytes.clone()].concat())));
        }
    });
    let expected = [Reason::Protocol, Reason::Protocol, Reason::Protocol, Reason::Protocol, Reason::Embeddings];
    assert_eq!(refused, expected.map(Some));
    assert_eq!(edge.transcript.len(), 2, "{:?}", edge.stories);
    assert!(cluster.transcripts().contains(&edge.transcript));
    settled(&cluster);
}

#[test]
fn an_edge_that_does_not_read_is_hung_up() {
    let place = Place::new();
    let cluster = place.cluster();
    let start = unit(&EdgeMessage::Hello(hello(&place, &cluster)));
    let stale = unit(&EdgeMessage::Played { attempt: AttemptId(0), frames: 0 }).repeat(4096);
    let why = cluster.runtime().block_on(async {
        let mut transport = TransportConfig::default();
        transport.stream_receive_window(1024u32.into());
        let connection = connect(&cluster, client(&cluster).transport_config(Arc::new(transport)).clone()).await;
        let (mut send, _never_read) = connection.open_bi().await.expect("a stream");
        send.write_all(&start).await.expect("it is taken");
        // Twice as many acknowledgements as may wait. It may be over before all is said.
        for _ in 0..64 {
            let _ = send.write_all(&stale).await;
        }
        tokio::time::timeout(Duration::from_secs(60), connection.closed()).await
    });
    assert!(matches!(why, Ok(ConnectionError::ApplicationClosed(_))), "{why:?}: {}", cluster.host.handle().metrics().text());
    assert_eq!(cluster.metric("caracal_refused_total{reason=\"busy\"}"), 1.0);
    // The session is kept for an edge that comes back and reads.
    assert_eq!(cluster.transcripts().len(), 1);
    settled(&cluster);
}

/// What became of connections that were tried.
#[derive(Debug, Default)]
struct Flood {
    refused: u64,
    others: u64,
    seconds: f64,
}

/// Tries at once: their first packets fit in the buffer of a socket, so hardly one is lost and said again a second later.
const AT_ONCE: usize = 40;

/// Ten thousand connections in a second, as far as this machine can; each waits until it is answered.
async fn flood(config: ClientConfig, address: SocketAddr) -> Flood {
    let mut endpoint = Endpoint::client(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port");
    endpoint.set_default_client_config(config);
    let (start, mut flood, mut open) = (Instant::now(), Flood::default(), Vec::new());
    for _ in 0..10_000 / AT_ONCE {
        let many: Vec<_> = (0..AT_ONCE).map(|_| endpoint.connect(address, "localhost").expect("an address")).collect();
        for tried in many {
            match tried.await {
                Err(ConnectionError::ConnectionClosed(close)) if close.error_code == TransportErrorCode::CONNECTION_REFUSED => {
                    flood.refused += 1;
                }
                other => {
                    flood.others += 1;
                    open.push(other);
                }
            }
        }
    }
    Flood { seconds: start.elapsed().as_secs_f64(), ..flood }
}

#[test]
fn a_flood_of_connections_is_refused_and_a_conversation_goes_on() {
    let place = Place::new();
    let cluster = place.cluster();
    let options = EdgeOptions { speech: vec![(400, 1400)], until_ms: 7000, ..EdgeOptions::default() };
    let mut flooded = None;
    let edge = Edge::live(place.model(), cluster.address(), &cluster.fingerprint, &cluster.token, &options, true, |ms, _| {
        if ms > 600 && flooded.is_none() {
            flooded = Some(cluster.runtime().spawn(flood(client(&cluster), cluster.address())));
        }
    });
    let flood = cluster.runtime().block_on(flooded.expect("the edge lived long enough")).expect("it ends");
    assert_eq!(flood.refused + flood.others, 10_000);
    // However long this machine took: no more than the rule allows in that time.
    let allowed = 32.0 + 8.0 * flood.seconds;
    assert!(flood.others as f64 <= allowed + 1.0, "{flood:?}, {allowed} allowed");
    let counted = cluster.metric("caracal_refused_total{reason=\"too_fast\"}");
    // One that was told twice, because its first answer was lost, counts twice.
    assert!(counted >= flood.refused as f64, "{counted} counted, {flood:?}");
    assert_eq!(edge.transcript.len(), 1, "{:?}", edge.stories);
    assert!(matches!(edge.transcript[0].ending, Ending::Whole(_)), "{:?}", edge.stories);
    assert!(!edge.stories.iter().any(|(_, story)| matches!(story, Story::Notice(..))), "{:?}", edge.stories);
    settled(&cluster);
}
