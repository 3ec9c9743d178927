use serde_json::{Value, json};

use super::row::Row;
use crate::number::number;

/// The rows that were measured.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    pub(crate) rows: Vec<Row>,
    /// What was not measured, and why.
    pub(crate) notes: Vec<String>,
}

impl Table {
    pub(crate) fn print(&self) {
        println!(
            "{:<58} {:>16} {:>11} {:>14}  {:<8} from",
            "measure", "before", "aim", "measured", "reached"
        );
        for row in &self.rows {
            let aim = row.aim.map(|aim| aim.to_string()).unwrap_or_default();
            let reached = row.is_reached().map_or("", |reached| if reached { "yes" } else { "no" });
            println!(
                "{:<58} {:>16} {aim:>11} {:>14}  {reached:<8} {}",
                row.measure,
                row.before,
                format!("{} {}", number(row.value), row.unit).trim_end(),
                row.detail,
            );
        }
        for note in &self.notes {
            println!("{note}");
        }
    }

    pub(crate) fn to_json(&self) -> Value {
        let rows: Vec<_> = self.rows.iter().map(Row::to_json).collect();
        json!({ "rows": rows, "notes": self.notes })
    }
}
