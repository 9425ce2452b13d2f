//! Whose tokens lie where: block tables of sessions over one pool, checkpoints, rollback, truncation.
//!
//! A session only ever grows at its end or loses its end, so a checkpoint is a length and going back is setting it:
//! what lies below is untouched, bit for bit. The number of each writing tells a checkpoint whose tokens were lost and
//! written anew since from one that still holds.

use std::collections::BTreeMap;
use std::ops::Range;

use burn::tensor::{DType, Device};

use super::block_pool::{BlockPool, PoolUsage};
use super::config::BackboneConfig;
use super::latent_store::{LatentStore, Segment, StoreShape};

/// One conversation in the cache. Numbers are never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

impl std::fmt::Display for SessionId {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "session {}", self.0)
    }
}

/// How much is cached, from the deployment's configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheLimits {
    /// Tokens of one block.
    pub block_tokens: usize,
    /// Blocks in all.
    pub blocks: usize,
    /// Sessions open at a time.
    pub sessions: usize,
}

/// A state to come back to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KvCheckpoint {
    session: SessionId,
    length: usize,
    writing: u64,
}

impl KvCheckpoint {
    /// Whose.
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// Tokens at that time.
    pub fn length(&self) -> usize {
        self.length
    }
}

/// Why the cache refuses; nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheRefusal {
    /// No such session is open.
    Unknown,
    /// Fewer blocks are free than the rows need.
    Full {
        /// Blocks that are needed.
        needed: usize,
        /// Blocks that are free.
        free: usize,
    },
    /// As many sessions as allowed are open.
    Sessions,
    /// The length asked for is beyond the session's.
    Beyond {
        /// The session's length.
        length: usize,
    },
    /// The tokens of the checkpoint were dropped since.
    Stale,
}

struct Session {
    blocks: Vec<u32>,
    /// For each token, the number of the writing that it came with.
    writings: Vec<u64>,
}

/// The cache of all sessions.
pub struct KvCache {
    /// The memory.
    pub store: LatentStore,
    limits: CacheLimits,
    pool: BlockPool,
    sessions: BTreeMap<SessionId, Session>,
    opened: u64,
    written: u64,
}

impl KvCache {
    /// An empty cache for a network of this shape.
    ///
    /// # Panics
    /// When blocks hold no token, or more blocks are asked for than can be numbered: whoever reads the configuration
    /// checks it.
    pub fn new(limits: CacheLimits, config: &BackboneConfig, device: &Device, dtype: DType) -> Self {
        assert!(limits.block_tokens > 0 && u32::try_from(limits.blocks).is_ok(), "kv cache: {limits:?}");
        let width = config.kv_lora_rank + config.qk_rope_head_dim;
        let shape = StoreShape { attentions: config.attentions(), width, blocks: limits.blocks, block_tokens: limits.block_tokens };
        let store = LatentStore::new(shape, device, dtype);
        Self { store, limits, pool: BlockPool::new(limits.blocks), sessions: BTreeMap::new(), opened: 0, written: 0 }
    }

    /// The limits.
    pub fn limits(&self) -> CacheLimits {
        self.limits
    }

    /// An empty session.
    ///
    /// # Errors
    /// [`CacheRefusal::Sessions`].
    pub fn open(&mut self) -> Result<SessionId, CacheRefusal> {
        if self.sessions.len() >= self.limits.sessions {
            return Err(CacheRefusal::Sessions);
        }
        self.opened += 1;
        let id = SessionId(self.opened);
        self.sessions.insert(id, Session { blocks: Vec::new(), writings: Vec::new() });
        Ok(id)
    }

    /// Forgets a session.
    ///
    /// # Errors
    /// [`CacheRefusal::Unknown`].
    pub fn close(&mut self, id: SessionId) -> Result<(), CacheRefusal> {
        let session = self.sessions.remove(&id).ok_or(CacheRefusal::Unknown)?;
        self.pool.give_back(session.blocks);
        self.assert_accounts();
        Ok(())
    }

    /// Tokens of a session.
    ///
    /// # Errors
    /// [`CacheRefusal::Unknown`].
    pub fn length(&self, id: SessionId) -> Result<usize, CacheRefusal> {
        Ok(self.session(id)?.writings.len())
    }

    /// Lengthens a session by the batch's `rows`, whose values the caller then writes.
    ///
    /// # Errors
    /// [`CacheRefusal::Unknown`], [`CacheRefusal::Full`].
    pub fn extend(&mut self, id: SessionId, rows: Range<usize>) -> Result<Segment, CacheRefusal> {
        let session = self.sessions.get_mut(&id).ok_or(CacheRefusal::Unknown)?;
        let (start, end) = (session.writings.len(), session.writings.len() + rows.len());
        let needed = end.div_ceil(self.limits.block_tokens) - session.blocks.len();
        let blocks = self.pool.take(needed).ok_or(CacheRefusal::Full { needed, free: self.pool.free() })?;
        session.blocks.extend(blocks);
        self.written += 1;
        session.writings.resize(end, self.written);
        let segment = Segment { rows, start, blocks: session.blocks.clone() };
        self.assert_accounts();
        Ok(segment)
    }

    /// The state of a session now.
    ///
    /// # Errors
    /// [`CacheRefusal::Unknown`].
    pub fn checkpoint(&self, id: SessionId) -> Result<KvCheckpoint, CacheRefusal> {
        let session = self.session(id)?;
        Ok(KvCheckpoint { session: id, length: session.writings.len(), writing: session.writings.last().copied().unwrap_or(0) })
    }

    /// Back to a checkpoint: all that came since is gone.
    ///
    /// # Errors
    /// [`CacheRefusal::Unknown`]; [`CacheRefusal::Stale`] when the session was cut below it since.
    pub fn roll_back(&mut self, checkpoint: KvCheckpoint) -> Result<(), CacheRefusal> {
        let session = self.session(checkpoint.session)?;
        let holds = checkpoint.length == 0 || session.writings.get(checkpoint.length - 1) == Some(&checkpoint.writing);
        if !holds {
            return Err(CacheRefusal::Stale);
        }
        self.truncate(checkpoint.session, checkpoint.length)
    }

    /// Keeps the first `length` tokens.
    ///
    /// # Errors
    /// [`CacheRefusal::Unknown`], [`CacheRefusal::Beyond`].
    pub fn truncate(&mut self, id: SessionId, length: usize) -> Result<(), CacheRefusal> {
        let session = self.sessions.get_mut(&id).ok_or(CacheRefusal::Unknown)?;
        if length > session.writings.len() {
            return Err(CacheRefusal::Beyond { length: session.writings.len() });
        }
        session.writings.truncate(length);
        self.pool.give_back(session.blocks.split_off(length.div_ceil(self.limits.block_tokens)));
        self.assert_accounts();
        Ok(())
    }

    /// What attention `index` holds of a session: `[tokens, latent + rope]`.
    ///
    /// # Errors
    /// [`CacheRefusal::Unknown`].
    pub fn read(&self, id: SessionId, index: usize) -> Result<Vec<f32>, CacheRefusal> {
        let session = self.session(id)?;
        Ok(self.store.read(index, &session.blocks, session.writings.len()))
    }

    /// A number that depends on every bit of a session's state and not on where its blocks lie (FNV-1a).
    ///
    /// # Errors
    /// [`CacheRefusal::Unknown`].
    pub fn checksum(&self, id: SessionId) -> Result<u64, CacheRefusal> {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let mut mix = |bits: u64| hash = (hash ^ bits).wrapping_mul(0x100_0000_01b3);
        mix(self.length(id)? as u64);
        for index in 0..self.store.shape().attentions {
            self.read(id, index)?.iter().for_each(|value| mix(u64::from(value.to_bits())));
        }
        Ok(hash)
    }

    /// Blocks in use and free.
    pub fn usage(&self) -> PoolUsage {
        self.pool.usage()
    }

    fn session(&self, id: SessionId) -> Result<&Session, CacheRefusal> {
        self.sessions.get(&id).ok_or(CacheRefusal::Unknown)
    }

    fn assert_accounts(&self) {
        let held: usize = self.sessions.values().map(|s| s.blocks.len()).sum();
        assert_eq!(held + self.pool.free(), self.pool.total(), "kv cache: used and free blocks do not add up to all");
    }
}
