//! Which of the addresses behind a name answers: `localhost` may mean `::1` to the edge and 127.0.0.1 to the cluster.

use std::net::SocketAddr;
use std::time::Duration;

/// How long one address is given: two beginnings of a handshake, which QUIC sends a second apart, and the way back.
const ADDRESS_PATIENCE: Duration = Duration::from_secs(2);

/// The addresses behind `address` (host and port), in the system's order but for `first`.
///
/// # Errors
/// In words, when there is none.
pub async fn find(address: &str, first: Option<SocketAddr>) -> Result<Vec<SocketAddr>, String> {
    let found = tokio::net::lookup_host(address).await.map_err(|e| format!("{address}: the name has no address: {e}"))?;
    let mut found: Vec<SocketAddr> = found.collect();
    if found.is_empty() {
        return Err(format!("{address}: the name has no address"));
    }
    found.sort_by_key(|to| Some(*to) != first);
    Ok(found)
}

/// What `shake` gives for the first address that it succeeds with; each has [`ADDRESS_PATIENCE`].
///
/// # Errors
/// What failed with each address, in words.
pub async fn first_answer<T>(addresses: &[SocketAddr], mut shake: impl AsyncFnMut(SocketAddr) -> Result<T, String>) -> Result<T, String> {
    let mut problems = Vec::new();
    for to in addresses {
        match tokio::time::timeout(ADDRESS_PATIENCE, shake(*to)).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(problem)) => problems.push(format!("{to}: {problem}")),
            Err(_) => problems.push(format!("{to}: no answer within {} s", ADDRESS_PATIENCE.as_secs())),
        }
    }
    Err(problems.join("; "))
}

/// Any local address from which `to` can be reached.
pub fn local_for(to: SocketAddr) -> SocketAddr {
    if to.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() }
}

/// The host of `address`, as certificates name it.
pub fn host(address: &str) -> &str {
    address.rsplit_once(':').map_or(address, |(host, _)| host).trim_matches(['[', ']'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(work)
    }

    #[test]
    fn an_address_that_is_silent_or_fails_costs_time_and_no_connection() {
        let addresses: Vec<SocketAddr> = ["[::1]:1", "127.0.0.1:2", "127.0.0.1:3"].map(|a| a.parse().expect("an address")).into();
        let shake = async |to: SocketAddr| match to.port() {
            1 => std::future::pending().await,
            2 => Err("another protocol".to_string()),
            port => Ok(port),
        };
        assert_eq!(wait(first_answer(&addresses, shake)), Ok(3));
        let error = wait(first_answer(&addresses[..2], shake)).expect_err("nobody answers");
        assert_eq!(error, "[::1]:1: no answer within 2 s; 127.0.0.1:2: another protocol");
    }

    #[test]
    fn the_address_that_answered_before_is_asked_first() {
        let last = *wait(find("localhost:4433", None)).expect("every machine has it").last().expect("not empty");
        assert_eq!(wait(find("localhost:4433", Some(last))).expect("as before")[0], last);
        let elsewhere = "192.0.2.1:4433".parse().expect("an address");
        assert_eq!(wait(find("127.0.0.1:4433", Some(elsewhere))), Ok(vec!["127.0.0.1:4433".parse().expect("an address")]));
        assert_eq!((host("localhost:4433"), host("[::1]:4433"), host("10.0.0.1:1")), ("localhost", "::1", "10.0.0.1"));
    }
}
