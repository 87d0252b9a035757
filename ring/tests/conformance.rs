//! The suite's first column: a backend with no wall, which shows what the ring does by itself.

ringbox_conformance::suite!(inline, ringbox_conformance::Inline);
