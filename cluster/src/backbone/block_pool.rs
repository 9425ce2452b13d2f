//! The blocks of the cache that are free.

/// Hands out blocks of one fixed set, each to one owner at a time.
#[derive(Clone, Debug)]
pub struct BlockPool {
    free: Vec<u32>,
    taken: Vec<bool>,
}

/// How many blocks are where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolUsage {
    /// Held by sessions.
    pub used: usize,
    /// Left.
    pub free: usize,
}

impl BlockPool {
    /// All of `blocks` free.
    pub fn new(blocks: usize) -> Self {
        Self { free: (0..blocks as u32).rev().collect(), taken: vec![false; blocks] }
    }

    /// `count` blocks, or `None` and nothing changed when fewer are free.
    pub fn take(&mut self, count: usize) -> Option<Vec<u32>> {
        let left = self.free.len().checked_sub(count)?;
        let blocks = self.free.split_off(left);
        for block in &blocks {
            let taken = &mut self.taken[*block as usize];
            assert!(!*taken, "block pool: block {block} is free and taken");
            *taken = true;
        }
        Some(blocks)
    }

    /// Takes blocks back.
    ///
    /// # Panics
    /// When one of them was not taken.
    pub fn give_back(&mut self, blocks: impl IntoIterator<Item = u32>) {
        for block in blocks {
            let taken = &mut self.taken[block as usize];
            assert!(*taken, "block pool: block {block} came back twice");
            *taken = false;
            self.free.push(block);
        }
    }

    /// Counts.
    pub fn usage(&self) -> PoolUsage {
        PoolUsage { used: self.taken.iter().filter(|t| **t).count(), free: self.free.len() }
    }

    /// Free blocks.
    pub fn free(&self) -> usize {
        self.free.len()
    }

    /// All blocks.
    pub fn total(&self) -> usize {
        self.taken.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_changes_nothing_and_blocks_come_around() {
        let mut pool = BlockPool::new(3);
        let first = pool.take(2).unwrap();
        assert_eq!(pool.take(2), None);
        assert_eq!(pool.usage(), PoolUsage { used: 2, free: 1 });
        pool.give_back(first);
        assert_eq!(pool.take(3).unwrap().len(), 3);
    }

    #[test]
    #[should_panic(expected = "came back twice")]
    fn a_block_cannot_come_back_twice() {
        BlockPool::new(1).give_back([0]);
    }
}
