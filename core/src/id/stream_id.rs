super::name::name! {
    /// The name of a stream, which holds the events of one entity, such as
    /// `flight-UA1545`.
    ///
    /// 1 to 255 bytes of UTF-8 without control characters. Names are compared
    /// byte by byte: they are case-sensitive and not normalized. Clones share
    /// the text.
    ///
    /// # Examples
    ///
    /// ```
    /// use downlink::StreamId;
    ///
    /// let stream: StreamId = "flight-UA1545".try_into()?;
    /// assert_eq!(stream.as_str(), "flight-UA1545");
    /// assert!(StreamId::new("").is_err());
    /// # Ok::<(), downlink::Error>(())
    /// ```
    StreamId, "a stream id"
}

#[cfg(test)]
mod tests {
    use super::StreamId;

    #[test]
    fn a_literal_is_checked() {
        assert_eq!(StreamId::from_static("flight-UA1545"), StreamId::new("flight-UA1545").unwrap());
    }

    #[test]
    #[should_panic(expected = "is empty")]
    fn a_literal_that_is_not_valid_panics() {
        let _ = StreamId::from_static("");
    }
}
