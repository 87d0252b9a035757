//! Random operations against an oracle that is a plain map.
//!
//! One operation at a time, so that a failure is shrunk (`PROPTEST_CASES` for more of them), and
//! then many threads at once for a while (`RINGBOX_STRESS_SECS`, whose seed is in the message).

#[path = "model/oracle.rs"]
mod oracle;
#[path = "model/stress.rs"]
mod stress;
