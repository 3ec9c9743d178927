super::name::name! {
    /// The name of a stream: the events of one thing, such as `flight-UA1545`.
    ///
    /// 1 to 255 bytes of UTF-8 without control characters. Names are compared
    /// byte by byte: case matters, and nothing is normalised. Clones share the
    /// text.
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
