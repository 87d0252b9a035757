//! What the ABI's types cost by themselves.

#![expect(unsafe_code, reason = "views are read back as the other side would")]

use criterion::{Criterion, criterion_group, criterion_main};
use ringbox_abi::v1::{NrBytes, NrStr};
use ringbox_abi::{Headers, NrVec, OwnedBytes};
use std::hint::black_box;
use std::time::Duration;

const HEADERS: [(&str, &str); 4] = [
    ("host", "example.org"),
    ("accept", "application/json"),
    ("user-agent", "ringbox"),
    ("x-request-id", "0123456789abcdef"),
];

fn views(c: &mut Criterion) {
    let bytes = [7u8; 128];
    c.bench_function("abi/bytes/128B", |bench| {
        bench.iter(|| {
            let view = NrBytes::from_slice(black_box(&bytes));
            // SAFETY: the bytes live on.
            unsafe { black_box(view).as_slice() }.map(<[u8]>::len)
        });
    });
    c.bench_function("abi/str/11B", |bench| {
        bench.iter(|| {
            let view = NrStr::try_from_str(black_box("example.org")).expect("it is short");
            // SAFETY: the text is static.
            unsafe { black_box(view).as_str() }.map(str::len)
        });
    });
}

fn headers(c: &mut Criterion) {
    c.bench_function("abi/headers/4", |bench| {
        bench.iter(|| {
            let headers: Headers = black_box(HEADERS).into_iter().collect();
            black_box(headers.as_slice()).len()
        });
    });
}

fn vec(c: &mut Criterion) {
    for len in [0usize, 128, 4096] {
        let bytes = vec![7u8; len];
        c.bench_function(&format!("abi/vec/{len}B"), |bench| {
            bench.iter(|| {
                let vec: NrVec = OwnedBytes::from(black_box(&bytes).clone()).into_raw();
                // SAFETY: made a line above, and adopted once.
                let owned = unsafe { OwnedBytes::adopt(black_box(vec), 1 << 20) };
                owned.map(|owned| owned.as_slice().len())
            });
        });
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(600));
    targets = views, headers, vec
}
criterion_main!(benches);
