//! Numbers that nobody can guess: tickets and tokens.

/// Random bytes from the operating system; `None` when it has none, which no running system does.
pub fn random<const N: usize>() -> Option<[u8; N]> {
    let mut bytes = [0; N];
    rustls::crypto::ring::default_provider().secure_random.fill(&mut bytes).ok()?;
    Some(bytes)
}
