//! A road between edges and a cluster that can lose everything, or delay it.

use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Largest datagram.
const DATAGRAM: usize = 2048;

/// The road. It ends with the process.
pub struct Proxy {
    /// Where edges connect.
    pub address: SocketAddr,
    lost: Arc<AtomicBool>,
    dropped: Arc<AtomicU64>,
}

impl Proxy {
    /// To this cluster.
    ///
    /// # Panics
    /// When there is no free port.
    #[allow(clippy::disallowed_methods, reason = "tests may spawn")]
    pub fn to(cluster: SocketAddr) -> Self {
        let front = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let address = front.local_addr().expect("it is bound");
        let (lost, dropped) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (lose, count) = (lost.clone(), dropped.clone());
        std::thread::spawn(move || {
            let mut backs: HashMap<SocketAddr, UdpSocket> = HashMap::new();
            let mut bytes = [0; DATAGRAM];
            while let Ok((length, from)) = front.recv_from(&mut bytes) {
                if lose.load(Ordering::Relaxed) {
                    count.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
                let back = backs.entry(from).or_insert_with(|| {
                    let back = UdpSocket::bind("127.0.0.1:0").expect("a free port");
                    back.connect(cluster).expect("the cluster's address");
                    let (returning, front, lose) =
                        (back.try_clone().expect("a socket"), front.try_clone().expect("a socket"), lose.clone());
                    std::thread::spawn(move || {
                        let mut bytes = [0; DATAGRAM];
                        loop {
                            match returning.recv(&mut bytes) {
                                Ok(length) if !lose.load(Ordering::Relaxed) => _ = front.send_to(&bytes[..length], from),
                                Ok(_) => {}
                                // The cluster is down for now.
                                Err(_) => std::thread::sleep(Duration::from_millis(5)),
                            }
                        }
                    });
                    back
                });
                let _ = back.send(&bytes[..length]);
            }
        });
        Self { address, lost, dropped }
    }

    /// From here on everything is lost, or nothing.
    pub fn lose(&self, everything: bool) {
        self.lost.store(everything, Ordering::Relaxed);
    }

    /// Datagrams of edges that were lost.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}
