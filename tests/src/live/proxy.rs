//! A road between edges and a cluster that can lose datagrams, some or all, and be long.

use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

/// Largest datagram.
const DATAGRAM: usize = 2048;

/// What the road does to datagrams, in both directions.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    /// Time from one end to the other.
    pub delay: Duration,
    /// Of 1000 datagrams, so many are lost.
    pub lost_per_mille: u64,
}

/// The road. It ends with the process.
pub struct Proxy {
    /// Where edges connect.
    pub address: SocketAddr,
    road: Arc<Road>,
}

#[derive(Default)]
struct Road {
    weather: Weather,
    closed: AtomicBool,
    dropped: AtomicU64,
    count: AtomicU64,
}

impl Road {
    /// Whether the next datagram is lost; the same ones in every run.
    fn loses(&self) -> bool {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let drawn = (number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) % 1000;
        let lost = self.closed.load(Ordering::Relaxed) || drawn < self.weather.lost_per_mille;
        self.dropped.fetch_add(u64::from(lost), Ordering::Relaxed);
        lost
    }
}

type Delivery = Box<dyn FnOnce() + Send>;

impl Proxy {
    /// To this cluster, in fair weather.
    ///
    /// # Panics
    /// When there is no free port.
    pub fn to(cluster: SocketAddr) -> Self {
        Self::through(cluster, Weather::default())
    }

    /// To this cluster.
    ///
    /// # Panics
    /// When there is no free port.
    #[allow(clippy::disallowed_methods, reason = "tests may spawn")]
    pub fn through(cluster: SocketAddr, weather: Weather) -> Self {
        let front = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let address = front.local_addr().expect("it is bound");
        let road = Arc::new(Road { weather, ..Road::default() });
        let carried = road.clone();
        std::thread::spawn(move || {
            let upwards = courier(weather.delay);
            let mut backs: HashMap<SocketAddr, Arc<UdpSocket>> = HashMap::new();
            let mut bytes = [0; DATAGRAM];
            while let Ok((length, from)) = front.recv_from(&mut bytes) {
                let back = backs.entry(from).or_insert_with(|| {
                    let back = Arc::new(UdpSocket::bind("127.0.0.1:0").expect("a free port"));
                    back.connect(cluster).expect("the cluster's address");
                    let (returning, road, front) = (back.clone(), carried.clone(), front.try_clone().expect("a socket"));
                    std::thread::spawn(move || carry_back(&returning, Arc::new(front), from, &road));
                    back
                });
                if !carried.loses() {
                    let (back, datagram) = (back.clone(), bytes[..length].to_vec());
                    // What cannot be sent is lost, too.
                    let _ = upwards.send((Instant::now(), Box::new(move || _ = back.send(&datagram))));
                }
            }
        });
        Self { address, road }
    }

    /// From here on everything is lost, or only what the weather loses.
    pub fn lose(&self, everything: bool) {
        self.road.closed.store(everything, Ordering::Relaxed);
    }

    /// Datagrams that were lost.
    pub fn dropped(&self) -> u64 {
        self.road.dropped.load(Ordering::Relaxed)
    }
}

fn carry_back(from: &UdpSocket, front: Arc<UdpSocket>, to: SocketAddr, road: &Road) {
    let downwards = courier(road.weather.delay);
    let mut bytes = [0; DATAGRAM];
    loop {
        match from.recv(&mut bytes) {
            Ok(length) if !road.loses() => {
                let (front, datagram) = (front.clone(), bytes[..length].to_vec());
                let _ = downwards.send((Instant::now(), Box::new(move || _ = front.send_to(&datagram, to))));
            }
            Ok(_) => {}
            // The cluster is down for now.
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

/// Delivers in order, each after the same time.
#[allow(clippy::disallowed_methods, reason = "tests may spawn")]
fn courier(delay: Duration) -> Sender<(Instant, Delivery)> {
    let (queue, deliveries) = channel::<(Instant, Delivery)>();
    std::thread::spawn(move || {
        for (given, deliver) in deliveries {
            std::thread::sleep((given + delay).saturating_duration_since(Instant::now()));
            deliver();
        }
    });
    queue
}
