//! A whole request, built by the caller.

use ringbox_ring as ring;

/// A request with a path, a method, a query, headers and a body.
///
/// ```
/// use ringbox::Request;
///
/// let request = Request::post("/orders")
///     .query("dry-run=1")
///     .header("content-type", "application/json")
///     .body(r#"{"item": 7}"#);
/// assert_eq!(request.method(), "POST");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Request {
    method: String,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    /// A request with this method and path.
    pub fn new(method: impl Into<String>, path: impl Into<String>) -> Self {
        Self { method: method.into(), path: path.into(), ..Self::default() }
    }

    /// A `GET` of a path.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new("GET", path)
    }

    /// A `POST` to a path.
    pub fn post(path: impl Into<String>) -> Self {
        Self::new("POST", path)
    }

    /// A `PUT` to a path.
    pub fn put(path: impl Into<String>) -> Self {
        Self::new("PUT", path)
    }

    /// A `DELETE` of a path.
    pub fn delete(path: impl Into<String>) -> Self {
        Self::new("DELETE", path)
    }

    /// With this query, without its question mark.
    #[must_use]
    pub fn query(mut self, query: impl Into<String>) -> Self {
        self.query = query.into();
        self
    }

    /// With one more header. Headers keep their order, and a name may come twice.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// With these bytes as its body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Its method.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// Its path.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Hands the request to `f` as the ring takes it.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&ring::Invocation<'_>) -> R) -> R {
        let headers: Vec<ring::Header<'_>> =
            self.headers.iter().map(|(name, value)| ring::Header { name, value }).collect();
        f(&ring::Invocation::request(
            ring::Request {
                path: &self.path,
                method: &self.method,
                query: &self.query,
                headers: &headers,
            },
            &self.body,
        ))
    }
}
