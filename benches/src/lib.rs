//! What the benchmarks share: rows that are measured interleaved, and how they are told.
//!
//! A row times the same work done two ways, ours and a peer's. Rounds of the two alternate in one
//! process, so that whatever the machine does meanwhile happens to both, and what counts is the
//! ratio: its median over the rounds, and the upper end of that median's 95 % interval.

pub mod allocations;
mod checksum;
mod interleave;
mod report;
mod tasks;
mod threads;
mod work;

pub use checksum::checksum;
pub use interleave::{Plan, Row, Rows, Side};
pub use report::{Options, report};
pub use tasks::together;
pub use threads::{both, ping_pong};
pub use work::{Floor, Payloads, Room, block_on, count_to, floor, hidden};
