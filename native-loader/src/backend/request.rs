//! A caller's request as the ABI's, built on the stack.

#![cfg_attr(test, expect(unsafe_code, reason = "reads the request back"))]

use ringbox_abi::MAX_HEADERS;
use ringbox_abi::v1::{NrHeader, NrRequest, NrStr};
use ringbox_ring::{BadRequest, CallError, Header, Refusal, Request};
use std::mem::MaybeUninit;

/// So many headers need no allocation.
const ON_STACK: usize = 16;

/// Lends the request to `f`.
#[inline(always)]
pub(super) fn with_request<R>(
    request: &Request<'_>,
    f: impl FnOnce(&NrRequest) -> Result<R, Refusal>,
) -> Result<R, Refusal> {
    let mut raw = NrRequest {
        path: text(request.path, "path")?,
        method: text(request.method, "method")?,
        query: text(request.query, "query")?,
        headers: std::ptr::null(),
        headers_len: 0,
        _reserved0: 0,
        _reserved1: 0,
    };
    if request.headers.is_empty() {
        return f(&raw);
    }
    if request.headers.len() > ON_STACK {
        return with_many(request.headers, raw, f);
    }
    let mut headers = [const { MaybeUninit::<NrHeader>::uninit() }; ON_STACK];
    for (place, header) in headers.iter_mut().zip(request.headers) {
        place.write(view(header)?);
    }
    raw.headers = headers.as_ptr().cast();
    raw.headers_len = request.headers.len() as u32;
    f(&raw)
}

/// The request that a call of an entry by its name is.
#[inline(always)]
pub(super) fn bare(name: &str) -> Result<NrRequest, Refusal> {
    const METHOD: NrStr = NrStr { ptr: Request::CALL.as_ptr(), len: Request::CALL.len() as u32 };
    const QUERY: NrStr = NrStr { ptr: "".as_ptr(), len: 0 };
    Ok(NrRequest {
        path: text(name, "path")?,
        method: METHOD,
        query: QUERY,
        headers: std::ptr::null(),
        headers_len: 0,
        _reserved0: 0,
        _reserved1: 0,
    })
}

#[cold]
#[inline(never)]
fn with_many<R>(
    headers: &[Header<'_>],
    mut raw: NrRequest,
    f: impl FnOnce(&NrRequest) -> Result<R, Refusal>,
) -> Result<R, Refusal> {
    if headers.len() > MAX_HEADERS as usize {
        return Err(too_long("number of headers", headers.len(), MAX_HEADERS as usize));
    }
    let views = headers.iter().map(view).collect::<Result<Vec<_>, _>>()?;
    raw.headers = views.as_ptr();
    raw.headers_len = views.len() as u32;
    f(&raw)
}

#[inline(always)]
fn view(header: &Header<'_>) -> Result<NrHeader, Refusal> {
    Ok(NrHeader {
        key: text(header.name, "header's name")?,
        value: text(header.value, "header's value")?,
    })
}

/// A view of the text, for as long as the text lives.
#[inline(always)]
pub(super) fn text(text: &str, part: &'static str) -> Result<NrStr, Refusal> {
    match NrStr::try_from_str(text) {
        Ok(view) => Ok(view),
        Err(_) => Err(too_long(part, text.len(), u32::MAX as usize)),
    }
}

#[cold]
fn too_long(part: &'static str, len: usize, limit: usize) -> Refusal {
    CallError::BadRequest(Box::new(BadRequest { part, len, limit })).into()
}

/// The entry's name where the request is a call of one. The published generations know nothing
/// else, so a request with more to it is not theirs.
#[inline(always)]
pub(super) fn entry<'a>(request: &Request<'a>) -> Option<&'a str> {
    let call = request.method == Request::CALL;
    (call && request.query.is_empty() && request.headers.is_empty()).then_some(request.path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringbox_abi::RequestView;

    #[test]
    fn a_request_arrives_with_few_headers_and_with_many() {
        for count in [0, 1, ON_STACK, ON_STACK + 1, 100] {
            let names: Vec<_> = (0..count).map(|n| format!("name-{n}")).collect();
            let headers: Vec<_> = names.iter().map(|name| Header { name, value: "x" }).collect();
            let request = Request { path: "/p", method: "GET", query: "q=1", headers: &headers };
            let seen = with_request(&request, |raw| {
                // SAFETY: a live reference, whose views are of what `request` borrows.
                let view = unsafe { RequestView::read(raw) }.unwrap();
                assert_eq!((view.path(), view.method(), view.query()), ("/p", "GET", "q=1"));
                Ok(view.headers().map(|(name, _)| name.to_owned()).collect::<Vec<_>>())
            });
            assert_eq!(seen.unwrap(), names);
        }
    }

    #[test]
    fn a_call_by_name_is_the_request_that_its_invocation_makes() {
        let made = with_request(&Request::new(Request::CALL, "echo"), |raw| {
            // SAFETY: a live reference, whose views are of static texts.
            let view = unsafe { RequestView::read(raw) }.unwrap();
            Ok((view.path().to_owned(), view.method().to_owned(), view.query().to_owned()))
        });
        let bare = bare("echo").unwrap();
        // SAFETY: as above.
        let view = unsafe { RequestView::read(&raw const bare) }.unwrap();
        assert_eq!(view.headers().count(), 0);
        assert_eq!((view.path(), view.method(), view.query()), ("echo", "CALL", ""));
        assert_eq!(made.unwrap(), ("echo".into(), "CALL".into(), String::new()));
    }

    #[test]
    fn too_many_headers_are_a_bad_request() {
        let headers = vec![Header { name: "", value: "" }; MAX_HEADERS as usize + 1];
        let request = Request { headers: &headers, ..Request::new("GET", "/") };
        let error = with_request(&request, |_| Ok(())).unwrap_err();
        let error = CallError::from(error);
        assert!(matches!(error, CallError::BadRequest(_)), "{error:?}");
    }

    #[test]
    fn only_a_bare_call_is_an_entry() {
        assert_eq!(entry(&Request::new("CALL", "echo")), Some("echo"));
        assert_eq!(entry(&Request::new("GET", "echo")), None);
        assert_eq!(entry(&Request { query: "a", ..Request::new("CALL", "echo") }), None);
    }
}
