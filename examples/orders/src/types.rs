//! The types of the page, from those of this crate.

use downlink_page_files::TypesFile;

use crate::dashboard::ItemRow;
use crate::{OrderEvent, OrderRow};

#[test]
fn the_page_has_the_types_of_this_crate() {
    TypesFile::new("page/types.gen.ts").with::<OrderEvent>().with::<(OrderRow, ItemRow)>().check();
}
