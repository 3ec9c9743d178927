use std::time::SystemTime;

use bytes::{BufMut, Bytes, BytesMut};
use http::HeaderMap;
use http::header::{CONNECTION, DATE, HeaderName};
use httpdate::HttpDate;

/// The head of a response whose body ends with the connection.
pub(super) fn render(headers: &HeaderMap) -> Bytes {
    let lines = || headers.iter().filter(|(name, _)| *name != CONNECTION);
    let len: usize = lines().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    let mut head = BytesMut::with_capacity(len + 100);
    head.put_slice(b"HTTP/1.1 200 OK\r\n");
    for (name, value) in lines() {
        put_line(&mut head, name, value.as_bytes());
    }
    if !headers.contains_key(DATE) {
        let now = HttpDate::from(SystemTime::now());
        put_line(&mut head, &DATE, now.to_string().as_bytes());
    }
    put_line(&mut head, &CONNECTION, b"close");
    head.put_slice(b"\r\n");
    head.freeze()
}

fn put_line(head: &mut BytesMut, name: &HeaderName, value: &[u8]) {
    head.put_slice(name.as_str().as_bytes());
    head.put_slice(b": ");
    head.put_slice(value);
    head.put_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn text(headers: &[(HeaderName, &'static str)]) -> String {
        let lines = headers.iter().cloned();
        let headers = lines.map(|(name, value)| (name, HeaderValue::from_static(value))).collect();
        String::from_utf8(render(&headers).to_vec()).unwrap()
    }

    #[test]
    fn the_connection_is_closed_at_the_end() {
        let set = [(CONNECTION, "keep-alive"), (CONNECTION, "x-hop"), (DATE, "today")];
        assert_eq!(text(&set), "HTTP/1.1 200 OK\r\ndate: today\r\nconnection: close\r\n\r\n");
    }

    #[test]
    fn a_date_is_added() {
        let head = text(&[]);
        let date = head.lines().find_map(|line| line.strip_prefix("date: ")).unwrap();
        let date = httpdate::parse_http_date(date).unwrap();
        assert!(date.elapsed().unwrap().as_secs() < 60, "{head}");
    }
}
