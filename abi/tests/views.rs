//! Every way in which a view, a request or an info can be broken is a typed error.

#![expect(unsafe_code, reason = "makes views that are broken on purpose")]

use std::{error::Error, ptr};

use ringbox_abi::{
    Headers, InfoError, MAX_HEADERS, Request, RequestError, RequestPart, RequestView, ViewError,
    published, raw,
    v1::{NrBytes, NrHeader, NrPluginInfo, NrRequest, NrStr},
};

fn text(view: NrStr) -> Result<&'static str, ViewError> {
    // SAFETY: the tests point at static memory, or at nothing with what is checked first.
    unsafe { view.as_str() }
}

fn bytes(view: NrBytes) -> Result<&'static [u8], ViewError> {
    // SAFETY: as in `text`.
    unsafe { view.as_slice() }
}

fn request(request: *const NrRequest) -> Result<RequestView<'static>, RequestError> {
    // SAFETY: as in `text`.
    unsafe { RequestView::read(request) }
}

#[test]
fn views_come_back_as_they_were_made() {
    assert_eq!(text(NrStr::from_str("häuser")), Ok("häuser"));
    assert_eq!(bytes(NrBytes::from_slice(b"\x00\xff")), Ok(&b"\x00\xff"[..]));
    static KEPT: NrHeaderStatic = NrHeaderStatic(NrHeader::new("key", "value"));
    assert_eq!(text(KEPT.0.value), Ok("value"));
}

struct NrHeaderStatic(NrHeader);
// SAFETY: a view of static text.
unsafe impl Sync for NrHeaderStatic {}

#[test]
fn a_length_of_0_is_empty_whatever_the_pointer() {
    for ptr in [ptr::null(), ptr::dangling(), ptr::without_provenance(usize::MAX)] {
        assert_eq!(text(NrStr { ptr, len: 0 }), Ok(""));
        assert_eq!(bytes(NrBytes { ptr, len: 0 }), Ok(&[][..]));
    }
    assert_eq!(text(NrStr::EMPTY), Ok(""));
    assert_eq!(bytes(NrBytes::EMPTY), Ok(&[][..]));
}

#[test]
fn a_null_pointer_with_a_length_is_an_error() {
    let null = ptr::null();
    assert_eq!(text(NrStr { ptr: null, len: 3 }), Err(ViewError::NullPointer { len: 3 }));
    for len in [1, u64::MAX] {
        assert_eq!(bytes(NrBytes { ptr: null, len }), Err(ViewError::NullPointer { len }));
    }
}

#[test]
fn a_length_that_no_slice_has_is_an_error() {
    let limit = isize::MAX as u64;
    for len in [limit + 1, u64::MAX] {
        let view = NrBytes { ptr: ptr::dangling(), len };
        assert_eq!(bytes(view), Err(ViewError::TooLong { len, limit }));
    }
}

#[test]
fn text_that_is_not_utf8_is_an_error() {
    let cut = "grün".as_bytes();
    let view = NrStr { ptr: cut.as_ptr(), len: 3 };
    assert_eq!(text(view), Err(ViewError::InvalidUtf8 { valid_up_to: 2 }));
}

#[test]
fn errors_say_what_is_wrong() {
    for (error, says) in [
        (ViewError::NullPointer { len: 3 }, "null pointer with a length of 3"),
        (ViewError::TooLong { len: 9, limit: 8 }, "length 9 is over the limit 8"),
        (ViewError::InvalidUtf8 { valid_up_to: 2 }, "not UTF-8 after the first 2 bytes"),
    ] {
        assert_eq!(error.to_string(), says);
    }
    let part = RequestPart::HeaderValue { index: 4 };
    let error = RequestError::View { part, error: ViewError::NullPointer { len: 1 } };
    assert_eq!(error.to_string(), "the request's value of header 4 can't be read");
    assert!(error.source().is_some());
}

#[test]
fn a_whole_request_comes_back_as_it_was_made() {
    let headers = Headers::from(vec![
        ("Host".to_owned(), "example.org".to_owned()),
        ("x".to_owned(), String::new()),
        ("x".to_owned(), "2".to_owned()),
    ]);
    let made = Request::new("/a", "GET", "b=c", &headers).unwrap();
    // SAFETY: the request lives to the end of this test.
    let view = unsafe { RequestView::read(made.as_raw()) }.unwrap();
    assert_eq!((view.path(), view.method(), view.query()), ("/a", "GET", "b=c"));
    let all: Vec<_> = view.headers().collect();
    assert_eq!(all, [("Host", "example.org"), ("x", ""), ("x", "2")]);
    assert_eq!(view.headers().len(), 3);
    assert_eq!(view.header("hOST"), Some("example.org"));
    assert_eq!(view.header("y"), None);
    assert_eq!(made.view().headers().collect::<Vec<_>>(), all);
    assert_eq!(headers.clone().into_inner(), headers.into_inner());

    let call = Request::call("echo").unwrap();
    assert_eq!((call.view().path(), call.view().method()), ("echo", "CALL"));
    assert_eq!(call.view().headers().count(), 0);
}

#[test]
fn headers_keep_their_text_where_it_is_when_they_move() {
    let headers: Headers = (0..100).map(|n| (format!("k{n}"), format!("v{n}"))).collect();
    let moved = Box::new(headers);
    for (view, (key, value)) in moved.as_slice().iter().zip(moved.iter()) {
        assert_eq!((text(view.key), text(view.value)), (Ok(key), Ok(value)));
    }
    let headers = *moved;
    let in_thread = std::thread::spawn(move || headers.iter().count()).join().unwrap();
    assert_eq!(in_thread, 100);
}

#[test]
fn every_part_of_a_request_is_checked() {
    let headers = [NrHeader::new("a", "b"), NrHeader::new("c", "d")];
    let good = NrRequest {
        path: NrStr::from_str("/"),
        method: NrStr::from_str("GET"),
        query: NrStr::EMPTY,
        headers: headers.as_ptr(),
        headers_len: 2,
        _reserved0: 1,
        _reserved1: 2,
    };
    assert!(request(&good).is_ok(), "what is reserved is not looked at");
    let bad = NrStr { ptr: ptr::null(), len: 5 };
    let error = ViewError::NullPointer { len: 5 };
    let wrong = |part| Err(RequestError::View { part, error });
    let read = |broken: NrRequest| request(&broken).map(|_| ());
    assert_eq!(read(NrRequest { path: bad, ..good }), wrong(RequestPart::Path));
    assert_eq!(read(NrRequest { method: bad, ..good }), wrong(RequestPart::Method));
    assert_eq!(read(NrRequest { query: bad, ..good }), wrong(RequestPart::Query));
    for (header, part) in [
        (NrHeader { key: bad, ..headers[0] }, RequestPart::HeaderKey { index: 1 }),
        (NrHeader { value: bad, ..headers[0] }, RequestPart::HeaderValue { index: 1 }),
    ] {
        let array = [headers[0], header];
        assert_eq!(read(NrRequest { headers: array.as_ptr(), ..good }), wrong(part));
    }
    let null = NrRequest { headers: ptr::null(), headers_len: 5, ..good };
    assert_eq!(read(null), wrong(RequestPart::Headers));
    assert_eq!(read(NrRequest { headers_len: 0, ..null }), Ok(()));
    let odd = headers.as_ptr().wrapping_byte_add(4);
    assert_eq!(read(NrRequest { headers: odd, ..good }), Err(RequestError::Misaligned));

    assert_eq!(request(ptr::null()).unwrap_err(), RequestError::Null);
    let odd = ptr::from_ref(&good).wrapping_byte_add(1);
    assert_eq!(request(odd).unwrap_err(), RequestError::Misaligned);
}

#[test]
fn more_headers_than_anybody_means_are_not_believed() {
    for headers_len in [MAX_HEADERS + 1, u32::MAX] {
        let request_ = NrRequest {
            headers: ptr::dangling(),
            headers_len,
            ..*Request::call("x").unwrap().as_raw()
        };
        let error = ViewError::TooLong { len: headers_len.into(), limit: MAX_HEADERS.into() };
        let part = RequestPart::Headers;
        assert_eq!(request(&request_).unwrap_err(), RequestError::View { part, error });
    }
}

static VTABLE: raw::PluginVTable = raw::PluginVTable { init: None, handle: None, shutdown: None };

fn info() -> raw::PluginInfo {
    raw::PluginInfo {
        abi_version: 1,
        struct_size: 56,
        name: NrStr::from_str("name"),
        version: NrStr::from_str("1"),
        plugin_ctx: ptr::null_mut(),
        vtable: &VTABLE,
    }
}

fn read_info(info: *const raw::PluginInfo) -> Result<raw::PluginInfo, InfoError> {
    // SAFETY: the tests point at live memory of the size that it says, or at nothing.
    unsafe { raw::PluginInfo::read(info, 1) }
}

#[test]
fn an_info_is_read_only_as_far_as_it_says() {
    assert!(read_info(&info()).unwrap().compatible(1));
    assert_eq!(read_info(ptr::null()).unwrap_err(), InfoError::Null);
    let odd = ptr::from_ref(&VTABLE).cast::<raw::PluginInfo>().wrapping_byte_add(2);
    assert_eq!(read_info(odd).unwrap_err(), InfoError::Misaligned);
    // Eight bytes and nothing behind them.
    let short = Box::new([1_u32, 8]);
    let short = ptr::from_ref(&*short).cast::<raw::PluginInfo>();
    if short.is_aligned() {
        let error = InfoError::TooSmall { found: 8, wanted: 56 };
        assert_eq!(read_info(short).unwrap_err(), error);
    }
    let other = raw::PluginInfo { abi_version: 2, ..info() };
    assert_eq!(read_info(&other).unwrap_err(), InfoError::Version { found: 2, wanted: 1 });
    let bare = raw::PluginInfo { vtable: ptr::null(), ..info() };
    assert_eq!(read_info(&bare).unwrap_err(), InfoError::NoVTable);
    let odd = raw::PluginInfo { vtable: ptr::from_ref(&VTABLE).wrapping_byte_add(4), ..info() };
    assert_eq!(read_info(&odd).unwrap_err(), InfoError::Misaligned);
    let larger = raw::PluginInfo { struct_size: 64, ..info() };
    assert!(read_info(&larger).is_ok());

    let nameless = raw::PluginInfo { name: NrStr { ptr: ptr::null(), len: 2 }, ..info() };
    let error = InfoError::Text { what: "name", error: ViewError::NullPointer { len: 2 } };
    // SAFETY: nothing is behind a null view.
    assert_eq!(unsafe { nameless.identity() }.unwrap_err(), error);
}

#[test]
fn compatible_means_this_version_and_whole() {
    let raw::PluginInfo { abi_version, struct_size, name, version, plugin_ctx, .. } = info();
    let vtable = ptr::null();
    let theirs = NrPluginInfo { abi_version, struct_size, name, version, plugin_ctx, vtable };
    assert!(theirs.compatible(1));
    assert!(!theirs.compatible(2));
    assert!(!NrPluginInfo { struct_size: 55, ..theirs }.compatible(1));
    assert!(!NrPluginInfo { abi_version: 0, ..theirs }.compatible(1));
}

#[test]
fn published_infos_are_read_the_same_way() {
    let vtable = published::v02::PluginVTable {
        init: None,
        handle: None,
        shutdown: None,
        stream_data: None,
        stream_close: None,
        resolve_entry: None,
        handle_by_id: None,
    };
    let info = published::v02::PluginInfo {
        abi_version: 2,
        struct_size: 56,
        name: NrStr::from_str("old").into(),
        version: NrStr::from_str("0.2").into(),
        plugin_ctx: ptr::null_mut(),
        vtable: &vtable,
    };
    // SAFETY: live, of the size that it says.
    let read = unsafe { published::v02::PluginInfo::read(&info, published::v02::ABI_VERSION) };
    // SAFETY: static text.
    assert_eq!(unsafe { read.unwrap().identity() }.unwrap().name, "old");
    // SAFETY: live, of the size that it says.
    let other = unsafe { published::v01::PluginInfo::read((&raw const info).cast(), 1) };
    assert_eq!(other.unwrap_err(), InfoError::Version { found: 2, wanted: 1 });
}
