/// Finds the blocks of an event stream in its bytes, however they are divided.
#[derive(Debug, Default)]
pub(crate) struct EventStream {
    line: Vec<u8>,
    block: Block,
}

/// What is dispatched at once. It has no event if it has no data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) id: Option<String>,
    pub(crate) event: Option<String>,
    pub(crate) data: Option<String>,
}

impl EventStream {
    /// The blocks that these bytes complete.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<Block> {
        let mut blocks = Vec::new();
        for byte in bytes {
            if *byte != b'\n' {
                self.line.push(*byte);
                continue;
            }
            let line = String::from_utf8_lossy(&self.line).into_owned();
            self.line.clear();
            let line = line.trim_end_matches('\r');
            if line.is_empty() {
                blocks.push(std::mem::take(&mut self.block));
            } else {
                self.block.add(line);
            }
        }
        blocks
    }
}

impl Block {
    fn add(&mut self, line: &str) {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => self.id = Some(value.to_owned()),
            "event" => self.event = Some(value.to_owned()),
            "data" => {
                let before = self.data.take().map(|data| data + "\n").unwrap_or_default();
                self.data = Some(before + value);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found_however_the_bytes_are_divided() {
        let text = "retry: 9\nid: 1\nevent: feed.live\ndata: {}\n\n:\n\nid: 2\r\ndata: a\ndata: b\r\n\r\nid: 3\ndata: cut";
        let text_of = |text: &str| Some(text.to_owned());
        let expected = [
            Block { id: text_of("1"), event: text_of("feed.live"), data: text_of("{}") },
            Block::default(),
            Block { id: text_of("2"), event: None, data: text_of("a\nb") },
        ];
        for size in 1..text.len() {
            let mut stream = EventStream::default();
            let chunks = text.as_bytes().chunks(size);
            let blocks: Vec<_> = chunks.flat_map(|chunk| stream.push(chunk)).collect();
            assert_eq!(blocks, expected, "in pieces of {size}");
        }
    }
}
