use axum::Json;
use axum::body::Body;
use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use serde::de::DeserializeOwned;

use crate::headers::check_is_json;
use crate::wire::{Object, Problem};

/// The body of a request, which is a JSON object. Rejections are problem documents.
///
/// The `Content-Type` has to be `application/json`, which a page of another site cannot
/// send without a preflight. At most 2 MB are read, or the limit that axum's
/// `DefaultBodyLimit` sets.
impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Object<T> {
    type Rejection = Problem;

    async fn from_request(request: Request<Body>, state: &S) -> Result<Self, Problem> {
        parse(&read(request, state).await?)
    }
}

/// Reads a body that is declared as JSON.
pub(super) async fn read<S: Send + Sync>(
    request: Request<Body>,
    state: &S,
) -> Result<Bytes, Problem> {
    check_is_json(request.headers())?;
    Ok(Bytes::from_request(request, state).await?)
}

pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<Object<T>, Problem> {
    let Json(object) = Json::from_bytes(body)?;
    Ok(object)
}
