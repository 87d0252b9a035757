//! The heap of a component. The one of std is 9 KiB of each, and has threads and headers in mind.
//!
//! ```text
//!   up to 512 bytes   a list of free blocks for each multiple of 16; new ones are cut off a chunk
//!   more              the free spans in the order of their addresses, and of them the first that is
//!                     long enough; what comes back grows together with its neighbours
//! ```
//!
//! Who gives a block back says how long it is, so no block has a header. Blocks stay blocks: what
//! small ones took at their most is never a span again.

#![expect(unsafe_code, reason = "it hands out memory, and keeps its lists in what is free of it")]

use std::alloc::Layout;
use std::ptr;

/// The length of every block and span is a multiple of this, and so is its address.
const GRAIN: usize = 16;

/// The longest small block.
const SMALL: usize = 512;

/// Longer ones are multiples of this, so that what is left between them is of use.
const LARGE_GRAIN: usize = 128;

/// Small blocks are cut off chunks of this length.
const CHUNK: usize = 4096;

/// Memory comes by pages of this length.
const PAGE: usize = 64 << 10;

/// Where memory comes from.
///
/// # Safety
/// The address is that of as many new pages, readable and writable, which nobody else uses, ever. It
/// is a multiple of [`GRAIN`] and not 0, and its provenance is exposed.
pub(crate) unsafe trait Memory {
    /// The address of so many new pages.
    fn grow(&mut self, pages: usize) -> Option<usize>;
}

/// Free memory, and who has it. An address of 0 is none.
///
/// What is free is this heap's alone: that is what every SAFETY comment here rests on. A block is
/// free from when it is given back, or its pages come, until it is handed out.
pub(crate) struct Heap<M> {
    memory: M,
    /// For each length in grains, the first of the free blocks.
    blocks: [usize; SMALL / GRAIN + 1],
    /// What is left of the chunk that blocks are cut off.
    chunk: usize,
    left: usize,
    /// The first of the free spans.
    spans: usize,
}

/// How a free block or span begins.
#[derive(Copy, Clone)]
struct Free {
    next: usize,
    len: usize,
}

const _: () = assert!(size_of::<Free>() <= GRAIN && align_of::<Free>() <= GRAIN);

impl<M: Memory> Heap<M> {
    pub(crate) const fn new(memory: M) -> Self {
        Self { memory, blocks: [0; SMALL / GRAIN + 1], chunk: 0, left: 0, spans: 0 }
    }

    /// Memory of this layout, whose size isn't 0; null if there is none.
    #[inline]
    pub(crate) fn take(&mut self, layout: Layout) -> *mut u8 {
        let len = rounded(layout.size());
        let address = if layout.align() > GRAIN {
            self.take_aligned(len, layout.align())
        } else if len <= SMALL {
            self.take_block(len)
        } else {
            self.take_span(len)
        };
        ptr::with_exposed_provenance_mut(address)
    }

    /// Takes memory back.
    ///
    /// # Safety
    /// [`Heap::take`] of this heap returned `block` for this layout, and nobody uses it any more.
    #[inline]
    pub(crate) unsafe fn give(&mut self, block: *mut u8, layout: Layout) {
        let len = rounded(layout.size());
        let address = block.expose_provenance();
        // Both lists have blocks of this heap's alone: this one is, says the caller, from here on.
        if len <= SMALL && layout.align() <= GRAIN {
            self.give_block(address, len);
        } else {
            self.give_span(address, len);
        }
    }

    fn take_block(&mut self, len: usize) -> usize {
        let first = &mut self.blocks[len / GRAIN];
        let block = *first;
        if block != 0 {
            // SAFETY: it is linked, so a free block.
            *first = unsafe { read(block) }.next;
            return block;
        }
        self.cut_block(len)
    }

    /// Cuts a new block off the chunk, or off a new one.
    #[cold]
    fn cut_block(&mut self, len: usize) -> usize {
        if self.left < len {
            let chunk = self.take_span(CHUNK);
            if chunk == 0 {
                return 0;
            }
            // What is left of the one before is shorter than a small block, so it is one.
            if self.left > 0 {
                self.give_block(self.chunk, self.left);
            }
            (self.chunk, self.left) = (chunk, CHUNK);
        }
        let block = self.chunk;
        self.chunk += len;
        self.left -= len;
        block
    }

    fn give_block(&mut self, address: usize, len: usize) {
        let first = &mut self.blocks[len / GRAIN];
        // SAFETY: free from here on, says the caller of `give`, or what is left of a chunk.
        unsafe { write(address, Free { next: *first, len }) };
        *first = address;
    }

    fn take_span(&mut self, len: usize) -> usize {
        loop {
            let (mut before, mut span) = (0, self.spans);
            while span != 0 {
                // SAFETY: it is linked, so a free span.
                let free = unsafe { read(span) };
                if free.len >= len {
                    let mut next = free.next;
                    if free.len > len {
                        next = span + len;
                        // SAFETY: what is left of a free span is one, of a grain at least.
                        unsafe { write(next, Free { next: free.next, len: free.len - len }) };
                    }
                    self.link(before, next);
                    return span;
                }
                (before, span) = (span, free.next);
            }
            let pages = len.div_ceil(PAGE);
            let Some(new) = self.memory.grow(pages) else { return 0 };
            self.give_span(new, pages * PAGE);
        }
    }

    /// Takes more than is needed, and gives back what is before and behind it.
    #[cold]
    fn take_aligned(&mut self, len: usize, align: usize) -> usize {
        // Of a layout, so neither is near the end of the numbers.
        let span = self.take_span(len + align);
        if span == 0 {
            return 0;
        }
        let aligned = span.next_multiple_of(align);
        let before = aligned - span;
        if before > 0 {
            self.give_span(span, before);
        }
        // Never nothing: `before` is less than `align`.
        self.give_span(aligned + len, align - before);
        aligned
    }

    fn give_span(&mut self, address: usize, mut len: usize) {
        let (mut before, mut next) = (0, self.spans);
        while next != 0 && next < address {
            // SAFETY: it is linked, so a free span.
            (before, next) = (next, unsafe { read(next) }.next);
        }
        if next != 0 && address + len == next {
            // SAFETY: it is linked, so a free span.
            let free = unsafe { read(next) };
            next = free.next;
            len += free.len;
        }
        if before != 0 {
            // SAFETY: it is linked, so a free span.
            let free = unsafe { read(before) };
            if before + free.len == address {
                // SAFETY: the same span, grown by what lies behind it and is free.
                unsafe { write(before, Free { next, len: free.len + len }) };
                return;
            }
        }
        // SAFETY: free from here on, says the caller of `give`; or new, or cut off a free span.
        unsafe { write(address, Free { next, len }) };
        self.link(before, address);
    }

    /// Makes `next` the span after this one.
    fn link(&mut self, span: usize, next: usize) {
        if span == 0 {
            self.spans = next;
        } else {
            // SAFETY: it is linked, so a free span.
            let free = unsafe { read(span) };
            // SAFETY: as above.
            unsafe { write(span, Free { next, ..free }) };
        }
    }
}

/// How long a block for so many bytes is.
#[inline]
fn rounded(size: usize) -> usize {
    // A layout's size is far from the end of the numbers.
    let grain = if size <= SMALL { GRAIN } else { LARGE_GRAIN };
    (size + grain - 1) & !(grain - 1)
}

/// How a free block or span begins.
///
/// # Safety
/// One begins there, and [`write`] was the last to write there.
#[inline]
unsafe fn read(address: usize) -> Free {
    let at: *const Free = ptr::with_exposed_provenance(address);
    // SAFETY: what is free is mapped, aligned to a grain, and nobody else's; `write` has put a `Free`
    // there, says the caller.
    unsafe { at.read() }
}

/// Notes how a free block or span begins.
///
/// # Safety
/// At least a grain is free there.
#[inline]
unsafe fn write(address: usize, free: Free) {
    let at: *mut Free = ptr::with_exposed_provenance_mut(address);
    // SAFETY: what is free is mapped, aligned to a grain, and nobody else's; a `Free` is no longer.
    unsafe { at.write(free) }
}

/// The heap of a component, which has one thread.
#[cfg(all(target_family = "wasm", feature = "heap"))]
mod global {
    use super::{Heap, Memory, PAGE};
    use core::arch::wasm32;
    use std::alloc::{GlobalAlloc, Layout};
    use std::cell::UnsafeCell;

    #[global_allocator]
    static HEAP: Global = Global(UnsafeCell::new(Heap::new(Linear)));

    struct Global(UnsafeCell<Heap<Linear>>);

    // SAFETY: a component has one thread (this crate does not compile for more).
    unsafe impl Sync for Global {}

    struct Linear;

    // SAFETY: pages that the memory grows by are new, and who else grows it gets others. There is
    // data below them, so the address isn't 0. It is made of a number, as all in there are.
    unsafe impl Memory for Linear {
        fn grow(&mut self, pages: usize) -> Option<usize> {
            let before = wasm32::memory_grow::<0>(pages);
            (before != usize::MAX).then_some(before.wrapping_mul(PAGE))
        }
    }

    // SAFETY: what `take` hands out is nobody else's until it is given back, as long and as aligned
    // as it was asked for, and null otherwise; nothing in there unwinds.
    unsafe impl GlobalAlloc for Global {
        #[inline]
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            // SAFETY: one thread, and the heap's functions call nobody who allocates.
            unsafe { &mut *self.0.get() }.take(layout)
        }

        #[inline]
        unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
            // SAFETY: as in `alloc`.
            let heap = unsafe { &mut *self.0.get() };
            // SAFETY: the contract of `dealloc` is that of `give`.
            unsafe { heap.give(block, layout) }
        }

        #[inline(never)]
        unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
            // SAFETY: the caller says that the size is one of a layout.
            let new = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
            if super::rounded(size) == super::rounded(layout.size()) {
                return block;
            }
            // SAFETY: the caller says that the size isn't 0.
            let moved = unsafe { self.alloc(new) };
            if !moved.is_null() {
                let len = layout.size().min(size);
                // SAFETY: both are that long, and the new one is nobody else's.
                unsafe { block.copy_to_nonoverlapping(moved, len) };
                // SAFETY: the caller says that the block is of this layout, and the copy was the last
                // use of it.
                unsafe { self.dealloc(block, layout) };
            }
            moved
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{CHUNK, GRAIN, Heap, Memory, PAGE, SMALL};
    use std::alloc::Layout;

    /// So many pages, sometimes with a gap between, as if somebody else had taken that.
    struct Pages {
        memory: Vec<[u8; PAGE]>,
        used: usize,
        gaps: bool,
    }

    // SAFETY: each page is handed out once; the memory lives as long as the heap it is in, and is
    // written by nobody else. Where it isn't aligned, the start is skipped.
    unsafe impl Memory for Pages {
        fn grow(&mut self, pages: usize) -> Option<usize> {
            self.used += usize::from(self.gaps && self.used % 3 == 1);
            let new = self.memory.get_mut(self.used..self.used + pages + 1)?;
            self.used += pages;
            Some(new.as_mut_ptr().expose_provenance().next_multiple_of(GRAIN))
        }
    }

    fn heap(pages: usize, gaps: bool) -> Heap<Pages> {
        Heap::new(Pages { memory: vec![[0; PAGE]; pages], used: 0, gaps })
    }

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).unwrap()
    }

    impl Heap<Pages> {
        fn taken(&mut self, layout: Layout) -> *mut u8 {
            let block = self.take(layout);
            assert!(!block.is_null() && block.addr().is_multiple_of(layout.align()), "{layout:?}");
            block
        }

        fn given(&mut self, block: *mut u8, layout: Layout) {
            // SAFETY: the tests give back what they took, once, and use it no more.
            unsafe { self.give(block, layout) }
        }
    }

    /// A block that is taken, filled with a number of its own.
    struct Taken {
        block: *mut u8,
        layout: Layout,
        fill: u8,
    }

    impl Taken {
        fn bytes(&mut self) -> &mut [u8] {
            // SAFETY: taken, of this length, filled since, and nobody else's.
            unsafe { std::slice::from_raw_parts_mut(self.block, self.layout.size()) }
        }
    }

    #[test]
    fn blocks_are_nobody_elses_until_they_are_given_back() {
        for gaps in [false, true] {
            let mut heap = heap(400, gaps);
            let mut taken: Vec<Taken> = Vec::new();
            let mut random = 7_u64;
            let mut next = |below: u64| {
                random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                ((random >> 33) % below) as usize
            };
            for step in 0..30_000 {
                if taken.len() > 300 || (!taken.is_empty() && next(5) < 2) {
                    let mut one = taken.swap_remove(next(taken.len() as u64));
                    let fill = one.fill;
                    assert!(one.bytes().iter().all(|byte| *byte == fill), "in step {step}");
                    heap.given(one.block, one.layout);
                } else {
                    let size = match next(10) {
                        0 => 1 + next(40_000),
                        1 => SMALL - 20 + next(40),
                        _ => 1 + next(200),
                    };
                    let align = 1 << if next(20) == 0 { next(13) } else { next(5) };
                    let layout = layout(size, align);
                    let block = heap.taken(layout);
                    // SAFETY: as long as it was asked for.
                    unsafe { block.write_bytes(step as u8, size) };
                    taken.push(Taken { block, layout, fill: step as u8 });
                }
            }
        }
    }

    /// Spans grow together again, whatever the order they come back in.
    #[test]
    fn what_was_long_and_is_given_back_is_long_again() {
        let mut heap = heap(40, false);
        let third = layout(10 * PAGE, 8);
        for order in [[0, 1, 2], [2, 1, 0], [0, 2, 1], [1, 0, 2]] {
            let three: Vec<_> = (0..3).map(|_| heap.taken(third)).collect();
            for one in order {
                heap.given(three[one], third);
            }
            let all = heap.taken(layout(30 * PAGE, 8));
            heap.given(all, layout(30 * PAGE, 8));
        }
        assert_eq!(heap.memory.used, 30);
    }

    #[test]
    fn the_same_again_takes_no_more_memory() {
        let mut heap = heap(8, false);
        let mut used = 0;
        for round in 0..1000 {
            let sizes = (1..1200).step_by(37);
            let taken: Vec<_> = sizes.map(|size| (heap.taken(layout(size, 1)), size)).collect();
            for (block, size) in taken {
                heap.given(block, layout(size, 1));
            }
            let aligned = heap.taken(layout(300, 256));
            heap.given(aligned, layout(300, 256));
            if round == 0 {
                used = heap.memory.used;
            }
        }
        assert_eq!(heap.memory.used, used);
    }

    /// What is left of a chunk isn't lost when a longer block needs another one.
    #[test]
    fn the_end_of_a_chunk_is_a_block() {
        let mut heap = heap(2, false);
        let most = CHUNK / SMALL - 1;
        for _ in 0..most {
            heap.taken(layout(SMALL, 1));
        }
        let last = heap.taken(layout(SMALL - 3 * GRAIN, 1));
        heap.taken(layout(SMALL, 1));
        let end = heap.taken(layout(3 * GRAIN, 1));
        assert_eq!(end.addr(), last.addr() + SMALL - 3 * GRAIN);
    }

    #[test]
    fn without_memory_there_is_nothing_and_what_was_there_stays() {
        let mut heap = heap(3, false);
        let all = heap.taken(layout(2 * PAGE, 1));
        for (size, align) in [(1, 1), (SMALL + 1, 1), (PAGE, 4096), (1 << 40, 1)] {
            assert!(heap.take(layout(size, align)).is_null(), "{size}");
        }
        heap.given(all, layout(2 * PAGE, 1));
        heap.taken(layout(1, 1));
        heap.taken(layout(PAGE, 4096));
    }
}
