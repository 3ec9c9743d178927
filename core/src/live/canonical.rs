use serde::Serialize;
use serde_json::Value;

/// Writes a value as JSON in which the members of every object are sorted by name, so that
/// equal values have equal bytes in every process and build.
pub(super) fn write(out: &mut String, value: &Value) {
    match value {
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(out, item);
            }
            out.push(']');
        }
        Value::Object(members) => {
            // Whether the map is sorted depends on a feature that any crate may turn on.
            let mut members: Vec<_> = members.iter().collect();
            members.sort_unstable_by_key(|&(name, _)| name);
            out.push('{');
            for (index, (name, member)) in members.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_text(out, name);
                out.push(':');
                write(out, member);
            }
            out.push('}');
        }
        Value::String(text) => write_text(out, text),
        Value::Null | Value::Bool(_) | Value::Number(_) => out.push_str(&value.to_string()),
    }
}

pub(super) fn write_text(out: &mut String, text: &str) {
    out.push_str(&serde_json::to_string(text).expect("a string is valid JSON"));
}

pub(super) fn text(value: &impl Serialize) -> serde_json::Result<String> {
    let mut out = String::new();
    write(&mut out, &serde_json::to_value(value)?);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn members_are_sorted_at_every_depth() {
        let value = json!({"b": [{"z": 1, "a": null}], "a": "é\n\"", "c": 1.0});
        assert_eq!(text(&value).unwrap(), r#"{"a":"é\n\"","b":[{"a":null,"z":1}],"c":1.0}"#);
    }
}
