//! axum's rejections as problem documents, instead of plain text.

use axum::extract::rejection::{BytesRejection, JsonRejection, PathRejection, QueryRejection};
use http::StatusCode;

use crate::wire::{Code, Problem};

macro_rules! rejections {
    ($($rejection:ident)*) => {
        $(
            /// So that a handler that takes `Result<_, _>` of the extractor can use `?`.
            impl From<$rejection> for Problem {
                fn from(rejection: $rejection) -> Self {
                    rejected(rejection.status(), rejection.body_text())
                }
            }
        )*
    };
}

rejections! { BytesRejection JsonRejection PathRejection QueryRejection }

fn rejected(status: StatusCode, text: String) -> Problem {
    let code = match status {
        StatusCode::PAYLOAD_TOO_LARGE => Code::TooLarge,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => Code::UnsupportedMediaType,
        status if status.is_server_error() => Code::Internal,
        _ => Code::Invalid,
    };
    Problem::new(code, text)
}
