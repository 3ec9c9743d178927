//! The types of the page, from those of this crate.

use downlink_page_files::TypesFile;

use crate::api::{Cancel, ChangeGate, Delay};
use crate::flight::FlightEvent;
use crate::read_models::rows::{FlightRow, PunctualityRow, RouteRow};
use crate::replay::{Control, ReplayEvent, Status};

#[test]
fn the_page_has_the_types_of_this_crate() {
    TypesFile::new("page/src/types.gen.ts")
        .with::<FlightEvent>()
        .with::<ReplayEvent>()
        .with::<(Delay, ChangeGate, Cancel)>()
        .with::<(Control, Status)>()
        .with::<(FlightRow, PunctualityRow, RouteRow)>()
        .check();
}
