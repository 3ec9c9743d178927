super::name::name! {
    /// A label by which events of many streams are found together, such as
    /// `airport:EWR`.
    ///
    /// 1 to 255 bytes of UTF-8 without control characters, compared byte by
    /// byte. Clones share the text.
    Tag, "a tag"
}
