//! Bytes of a stranger on each of the three streams.

use caracal_shared::wire::{ClusterMessage, EdgeMessage, UnitReader, VisionMessage, Wire};

/// Decodes `data` as one unit of each kind; what is a unit encodes to one that decodes to the same.
///
/// # Panics
/// When a message does not come back as it was.
pub fn wire_unit(data: &[u8]) {
    round::<EdgeMessage>(data);
    round::<VisionMessage>(data);
    round::<ClusterMessage>(data);
}

fn round<M: Wire + PartialEq + std::fmt::Debug>(data: &[u8]) {
    if let Ok(message) = M::decode(data) {
        assert_eq!(M::decode(&message.encode()).as_ref(), Ok(&message));
    }
}

/// Reads `data` as a stream: the first byte says in which pieces it comes. No cutting changes what is read.
///
/// # Panics
/// When one does.
pub fn wire_stream(data: &[u8]) {
    let Some((cut, stream)) = data.split_first() else { return };
    let whole = read(stream.chunks(stream.len().max(1)));
    let pieces = read(stream.chunks(usize::from(*cut).max(1)));
    assert_eq!(whole, pieces);
}

fn read<'d>(pieces: impl Iterator<Item = &'d [u8]>) -> (Vec<EdgeMessage>, Option<String>) {
    let (mut reader, mut messages) = (UnitReader::default(), Vec::new());
    for piece in pieces {
        reader.push(piece);
        loop {
            match reader.next_unit() {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(error) => return (messages, Some(error.to_string())),
            }
        }
    }
    let end = reader.finish().err().map(|error| error.to_string());
    (messages, end)
}
