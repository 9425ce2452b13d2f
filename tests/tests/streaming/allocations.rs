//! What the calling thread allocates, counted.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    static LIVE: Cell<i64> = const { Cell::new(0) };
    static TOTAL: Cell<i64> = const { Cell::new(0) };
}

fn count(size: i64) {
    // A thread that is ending has no counters left, and nobody asks for them.
    let _ = LIVE.try_with(|live| live.set(live.get() + size));
    let _ = TOTAL.try_with(|total| total.set(total.get() + size.max(0)));
}

// SAFETY: every call goes on to the system's allocator unchanged; the counters allocate nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as i64));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes that this thread holds, less those that it freed for other threads.
pub fn live_bytes() -> i64 {
    LIVE.with(Cell::get)
}

/// Bytes that this thread ever asked for.
pub fn total_bytes() -> i64 {
    TOTAL.with(Cell::get)
}

#[test]
fn allocations_are_counted() {
    let (live, total) = (live_bytes(), total_bytes());
    let held = std::hint::black_box(vec![0u8; 1000]);
    assert_eq!((live_bytes() - live, total_bytes() - total), (1000, 1000));
    drop(held);
    assert_eq!((live_bytes() - live, total_bytes() - total), (0, 1000));
}
