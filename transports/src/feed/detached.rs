use http::request::Parts;
use http::{HeaderValue, Request};
use hyper::upgrade::OnUpgrade;

/// A copy that keeps nothing else alive. The strings of a request are slices of
/// its read buffer, and its extensions hold the connection to upgrade.
pub(super) fn detached(parts: &Parts) -> Parts {
    let uri = parts.uri.to_string();
    let request = Request::builder().method(&parts.method).version(parts.version).uri(uri);
    let (mut copy, ()) = request.body(()).expect("the parts of a valid request").into_parts();
    let headers = parts.headers.iter();
    copy.headers = headers.map(|(name, value)| (name.clone(), owned(value))).collect();
    copy.extensions = parts.extensions.clone();
    copy.extensions.remove::<OnUpgrade>();
    copy
}

fn owned(value: &HeaderValue) -> HeaderValue {
    let mut copy = HeaderValue::from_bytes(value.as_bytes()).expect("a valid header value");
    copy.set_sensitive(value.is_sensitive());
    copy
}
