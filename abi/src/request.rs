//! Whole requests, both ways: owned storage that a view can't outlive, and a checked view of what
//! came over the boundary.

#![expect(unsafe_code, reason = "reads the foreign request and its header array, once checked")]

use std::{error::Error, fmt, iter::FusedIterator, marker::PhantomData, slice, str};

use crate::{
    v1::{NrHeader, NrRequest, NrStr},
    view::ViewError,
};

/// The method that marks a call of an entry by its name.
pub const CALL_METHOD: &str = "CALL";

/// The most headers that [`RequestView::read`] takes.
///
/// A header costs two checks of UTF-8, so a length that nobody means should not be believed.
pub const MAX_HEADERS: u32 = 1 << 16;

/// Headers that own their text, next to the array of views that the ABI wants.
///
/// ```
/// use ringbox_abi::Headers;
/// let headers: Headers = vec![("host".to_owned(), "example.org".to_owned())].into();
/// assert_eq!(headers.as_slice().len(), 1);
/// ```
///
/// The views borrow the storage, so they can't survive it:
///
/// ```compile_fail,E0505
/// use ringbox_abi::{Headers, Request};
/// let headers: Headers = vec![("host".to_owned(), "example.org".to_owned())].into();
/// let request = Request::new("/", "GET", "", &headers).unwrap();
/// drop(headers);
/// let _ = request.as_raw();
/// ```
#[derive(Default)]
pub struct Headers {
    /// Points into `texts`. Only `new` writes either, and strings keep their bytes where they are
    /// when the vector that holds them moves.
    views: Vec<NrHeader>,
    texts: Vec<(String, String)>,
}

// SAFETY: the pointers in `views` lead only into `texts`, which this value owns and nobody changes;
// owned, unchanging text can go to and be read from any thread.
unsafe impl Send for Headers {}
// SAFETY: as above; `&Headers` gives only shared access to text that never changes.
unsafe impl Sync for Headers {}

impl Headers {
    /// Takes the strings over and makes the views.
    ///
    /// # Errors
    ///
    /// [`ViewError::TooLong`] when a string or their number doesn't fit 32 bits.
    pub fn new(texts: Vec<(String, String)>) -> Result<Self, ViewError> {
        if texts.len() > u32::MAX as usize {
            let len = texts.len() as u64;
            return Err(ViewError::TooLong { len, limit: u64::from(u32::MAX) });
        }
        let views = texts
            .iter()
            .map(|(key, value)| {
                Ok(NrHeader { key: NrStr::try_from_str(key)?, value: NrStr::try_from_str(value)? })
            })
            .collect::<Result<_, ViewError>>()?;
        Ok(Self { views, texts })
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// The strings.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.texts.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The array for the ABI. The views in it are good for as long as `self` is.
    #[must_use]
    pub fn as_slice(&self) -> &[NrHeader] {
        &self.views
    }

    /// The strings back.
    #[must_use]
    pub fn into_inner(self) -> Vec<(String, String)> {
        self.texts
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl Clone for Headers {
    fn clone(&self) -> Self {
        Self::from(self.texts.clone())
    }
}

/// # Panics
///
/// If a string has 4 GiB or more. [`Headers::new`] gives an error instead.
impl From<Vec<(String, String)>> for Headers {
    fn from(texts: Vec<(String, String)>) -> Self {
        Self::new(texts).expect("each header holds less than 4 GiB")
    }
}

/// # Panics
///
/// If a string has 4 GiB or more. [`Headers::new`] gives an error instead.
impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let texts: Vec<(String, String)> =
            pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
        Self::from(texts)
    }
}

/// An [`NrRequest`] that knows how long its views live.
#[derive(Debug, Copy, Clone)]
pub struct Request<'a> {
    raw: NrRequest,
    storage: PhantomData<&'a str>,
}

impl<'a> Request<'a> {
    /// A whole request over borrowed text.
    ///
    /// # Errors
    ///
    /// [`ViewError::TooLong`] when a string doesn't fit 32 bits.
    pub fn new(
        path: &'a str,
        method: &'a str,
        query: &'a str,
        headers: &'a Headers,
    ) -> Result<Self, ViewError> {
        let raw = NrRequest {
            path: NrStr::try_from_str(path)?,
            method: NrStr::try_from_str(method)?,
            query: NrStr::try_from_str(query)?,
            headers: headers.views.as_ptr(),
            headers_len: headers.views.len() as u32,
            _reserved0: 0,
            _reserved1: 0,
        };
        Ok(Self { raw, storage: PhantomData })
    }

    /// The request that calls an entry: the entry's name as the path, `CALL` as the method, no
    /// query, no headers.
    ///
    /// # Errors
    ///
    /// [`ViewError::TooLong`] when the name doesn't fit 32 bits.
    pub fn call(entry: &'a str) -> Result<Self, ViewError> {
        let raw = NrRequest {
            path: NrStr::try_from_str(entry)?,
            method: NrStr::from_str(CALL_METHOD),
            query: NrStr::EMPTY,
            headers: std::ptr::null(),
            headers_len: 0,
            _reserved0: 0,
            _reserved1: 0,
        };
        Ok(Self { raw, storage: PhantomData })
    }

    /// What a plugin's `handle` is given; good for as long as `self` is borrowed.
    #[must_use]
    pub fn as_raw(&self) -> &NrRequest {
        &self.raw
    }

    /// The request read back, as a plugin sees it.
    #[expect(clippy::missing_panics_doc, reason = "views made from `&str` are never broken")]
    #[must_use]
    pub fn view(&self) -> RequestView<'a> {
        // SAFETY: the request is a live reference; its views were made from `&'a str` and from
        // `&'a Headers`, which the marker keeps borrowed for 'a.
        unsafe { RequestView::read_unlimited(&self.raw) }.expect("made from valid strings")
    }
}

/// A request that came over the boundary, checked whole: every string is text, every length sane.
#[derive(Copy, Clone)]
pub struct RequestView<'a> {
    path: &'a str,
    method: &'a str,
    query: &'a str,
    /// Every key and value in it has passed `NrStr::as_str`: `read` is the only maker.
    headers: &'a [NrHeader],
}

impl<'a> RequestView<'a> {
    /// Reads and checks a request with all its strings.
    ///
    /// # Errors
    ///
    /// [`RequestError`] says which part is wrong, and how.
    ///
    /// # Safety
    ///
    /// A `request` that is neither null nor misaligned must point to a readable [`NrRequest`]. The
    /// memory behind each of its views that isn't null must be initialized, readable and unchanged
    /// for all of `'a`, and so must `headers_len` headers behind `headers`.
    pub unsafe fn read(request: *const NrRequest) -> Result<Self, RequestError> {
        if request.is_null() {
            return Err(RequestError::Null);
        }
        if !request.is_aligned() {
            return Err(RequestError::Misaligned);
        }
        // SAFETY: not null and aligned (checked); readable is the caller's promise. The copy is of
        // plain integers and pointers.
        let raw = unsafe { request.read() };
        if raw.headers_len > MAX_HEADERS {
            let error = ViewError::TooLong {
                len: u64::from(raw.headers_len),
                limit: u64::from(MAX_HEADERS),
            };
            return Err(RequestError::View { part: RequestPart::Headers, error });
        }
        // SAFETY: the views are the ones of which the caller promises that their memory lives
        // unchanged for 'a.
        unsafe { Self::read_unlimited(&raw) }
    }

    /// [`RequestView::read`] for any number of headers.
    ///
    /// # Safety
    ///
    /// As [`RequestView::read`], for what `raw` points to.
    unsafe fn read_unlimited(raw: &NrRequest) -> Result<Self, RequestError> {
        let text = |view: NrStr, part| {
            // SAFETY: one of the request's views, whose memory lives unchanged for 'a by the
            // contract of this function.
            unsafe { view.as_str::<'a>() }.map_err(|error| RequestError::View { part, error })
        };
        let path = text(raw.path, RequestPart::Path)?;
        let method = text(raw.method, RequestPart::Method)?;
        let query = text(raw.query, RequestPart::Query)?;
        let headers: &'a [NrHeader] = if raw.headers_len == 0 {
            &[]
        } else if raw.headers.is_null() {
            let error = ViewError::NullPointer { len: u64::from(raw.headers_len) };
            return Err(RequestError::View { part: RequestPart::Headers, error });
        } else if !raw.headers.is_aligned() {
            return Err(RequestError::Misaligned);
        } else {
            // SAFETY: not null, aligned (checked); 2^32 headers of 32 bytes are far below
            // isize::MAX; that they live unchanged for 'a is the contract of this function.
            unsafe { slice::from_raw_parts(raw.headers, raw.headers_len as usize) }
        };
        for (index, header) in headers.iter().enumerate() {
            text(header.key, RequestPart::HeaderKey { index })?;
            text(header.value, RequestPart::HeaderValue { index })?;
        }
        Ok(Self { path, method, query, headers })
    }

    /// The path; the entry's name when this is a call.
    #[must_use]
    pub fn path(&self) -> &'a str {
        self.path
    }

    /// The method; [`CALL_METHOD`] when this is a call of an entry.
    #[must_use]
    pub fn method(&self) -> &'a str {
        self.method
    }

    /// The query, without its question mark.
    #[must_use]
    pub fn query(&self) -> &'a str {
        self.query
    }

    /// The headers in the order they came, repeated ones repeated.
    #[must_use]
    pub fn headers(&self) -> HeaderIter<'a> {
        HeaderIter { rest: self.headers.iter() }
    }

    /// The first header whose key is `key`, letters compared without their case.
    #[must_use]
    pub fn header(&self, key: &str) -> Option<&'a str> {
        self.headers().find(|(k, _)| k.eq_ignore_ascii_case(key)).map(|(_, value)| value)
    }
}

impl fmt::Debug for RequestView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestView")
            .field("path", &self.path)
            .field("method", &self.method)
            .field("query", &self.query)
            .field("headers", &self.headers().collect::<Vec<_>>())
            .finish()
    }
}

// SAFETY: the pointers among `headers` are used only as the `&'a str` that they were checked to be,
// and a `&str` can be used from any thread.
unsafe impl Send for RequestView<'_> {}
// SAFETY: as above.
unsafe impl Sync for RequestView<'_> {}

/// The headers of a [`RequestView`].
#[derive(Debug, Clone)]
pub struct HeaderIter<'a> {
    /// Only ever made from the checked headers of a `RequestView`.
    rest: slice::Iter<'a, NrHeader>,
}

// SAFETY: as for `RequestView`, whose headers these are.
unsafe impl Send for HeaderIter<'_> {}
// SAFETY: as above.
unsafe impl Sync for HeaderIter<'_> {}

impl<'a> HeaderIter<'a> {
    /// The text of one of the views in `rest`, which `RequestView::read` has checked.
    fn checked_text(view: NrStr) -> &'a str {
        // SAFETY: `read` was promised that this memory lives unchanged for 'a.
        let bytes = unsafe { view.as_bytes::<'a>() }.unwrap_or_default();
        // SAFETY: `read` found this text to be UTF-8, and the bytes have not changed since.
        unsafe { str::from_utf8_unchecked(bytes) }
    }
}

impl<'a> Iterator for HeaderIter<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let header = self.rest.next()?;
        Some((Self::checked_text(header.key), Self::checked_text(header.value)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.rest.size_hint()
    }
}

impl ExactSizeIterator for HeaderIter<'_> {}
impl FusedIterator for HeaderIter<'_> {}

/// Where in a request.
#[non_exhaustive]
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
pub enum RequestPart {
    /// The path.
    Path,
    /// The method.
    Method,
    /// The query.
    Query,
    /// The array of headers.
    Headers,
    /// A header's key.
    HeaderKey {
        /// Which one, from 0.
        index: usize,
    },
    /// A header's value.
    HeaderValue {
        /// Which one, from 0.
        index: usize,
    },
}

impl fmt::Display for RequestPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path => f.write_str("path"),
            Self::Method => f.write_str("method"),
            Self::Query => f.write_str("query"),
            Self::Headers => f.write_str("headers"),
            Self::HeaderKey { index } => write!(f, "key of header {index}"),
            Self::HeaderValue { index } => write!(f, "value of header {index}"),
        }
    }
}

/// Why a request can't be read.
#[non_exhaustive]
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
pub enum RequestError {
    /// No request at all.
    Null,
    /// The request or its array of headers isn't where such a thing can be.
    Misaligned,
    /// One of its views is broken.
    View {
        /// Which one.
        part: RequestPart,
        /// How.
        error: ViewError,
    },
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("the request is a null pointer"),
            Self::Misaligned => f.write_str("the request or its headers are not aligned"),
            Self::View { part, .. } => write!(f, "the request's {part} can't be read"),
        }
    }
}

impl Error for RequestError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::View { error, .. } => Some(error),
            Self::Null | Self::Misaligned => None,
        }
    }
}
