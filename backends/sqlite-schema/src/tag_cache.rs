use std::collections::HashMap;
use std::sync::Arc;

use downlink::{Result, Tag};

use crate::tags;

/// How many lists a cache has at most, and how long the column of each may be.
const CAPACITY: usize = 1_024;
const MAX_BYTES: usize = 256;

/// The lists of tags that a connection has read, by their column: many events have the same
/// tags, and share one list then.
#[derive(Debug, Default)]
pub struct TagCache {
    lists: HashMap<Box<[u8]>, Arc<[Tag]>>,
}

impl TagCache {
    /// The tags of this column.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](downlink::ErrorKind::Corrupt) if the value is malformed.
    pub fn decode(&mut self, column: Option<&[u8]>) -> Result<Arc<[Tag]>> {
        let Some(column) = column else { return Ok(Arc::default()) };
        if let Some(tags) = self.lists.get(column) {
            return Ok(Arc::clone(tags));
        }
        let tags: Arc<[Tag]> = tags::decode(Some(column))?.into();
        if column.len() <= MAX_BYTES {
            if self.lists.len() >= CAPACITY {
                self.lists.clear();
            }
            self.lists.insert(column.into(), Arc::clone(&tags));
        }
        Ok(tags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(tag: &str) -> Vec<u8> {
        tags::encode(&[Tag::new(tag).unwrap()]).unwrap()
    }

    #[test]
    fn equal_columns_share_a_list() {
        let mut cache = TagCache::default();
        let (first, other) = (column("airport:EWR"), column("airport:LGA"));
        let list = cache.decode(Some(&first)).unwrap();
        assert_eq!(list[0].as_str(), "airport:EWR");
        assert!(Arc::ptr_eq(&list, &cache.decode(Some(&first)).unwrap()));
        assert_eq!(cache.decode(Some(&other)).unwrap()[0].as_str(), "airport:LGA");
        assert!(cache.decode(None).unwrap().is_empty());
        assert!(cache.decode(Some(&[9, 9])).is_err());
    }

    #[test]
    fn is_bounded() {
        let mut cache = TagCache::default();
        for number in 0..3 * CAPACITY {
            cache.decode(Some(&column(&format!("order:{number}")))).unwrap();
        }
        assert!(cache.lists.len() <= CAPACITY);
        cache.lists.clear();
        let long: Vec<_> = ["a", "b"].map(|tag| Tag::new(tag.repeat(200)).unwrap()).into();
        cache.decode(tags::encode(&long).as_deref()).unwrap();
        assert!(cache.lists.is_empty());
    }
}
