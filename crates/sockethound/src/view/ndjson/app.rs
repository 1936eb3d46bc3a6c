//! What a flow's first bytes said: each field where its path puts it.

use dissect::app::{App, Value};

use super::write_list;
use crate::view::json::Json;

/// Writes the fields as members of nested objects. They are sorted by path, so the members of an object stand together.
pub(super) fn write_fields(json: &mut Json, app: &App) {
    let mut open: Vec<&str> = Vec::new();
    for field in &app.fields {
        let mut path: Vec<&str> = field.path.split('.').collect();
        let Some(member) = path.pop() else { continue };
        let common = open.iter().zip(&path).take_while(|(a, b)| a == b).count();
        let mut follows = common > 0;
        for _ in common..open.len() {
            json.raw("}");
            follows = true;
        }
        open.truncate(common);
        for object in path.iter().skip(common) {
            // At the top, other members stand before.
            json.raw(if follows || open.is_empty() { "," } else { "" }).string(object).raw(":{");
            follows = false;
            open.push(object);
        }
        json.raw(if follows { "," } else { "" }).string(member).raw(":");
        write_value(json, &field.value);
    }
    for _ in open {
        json.raw("}");
    }
}

fn write_value(json: &mut Json, value: &Value) {
    match value {
        Value::Text(text) => drop(json.string(text)),
        Value::Number(number) => drop(json.integer(*number)),
        Value::Flag(flag) => drop(json.raw(if *flag { "true" } else { "false" })),
        Value::List(texts) => write_list(json, "", texts, |json, text| {
            json.string(text);
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_nest_by_their_paths() {
        let mut app = App::of("tls");
        app.set_text("tls.client.server_name", "a\"b");
        app.set("tls.client.ech", Value::Flag(true));
        app.set("tls.version_number", Value::Number(3));
        app.set("http.request.hosts", Value::List(vec!["x".into(), "y".into()]));
        app.set_text("tls.server.subject", "s");
        let mut json = Json::default();
        json.raw("{\"first\":1");
        write_fields(&mut json, &app);
        json.raw("}");
        let read: serde_json::Value = serde_json::from_slice(json.bytes()).expect("valid JSON");
        let expected = serde_json::json!({
            "first": 1,
            "http": {"request": {"hosts": ["x", "y"]}},
            "tls": {
                "client": {"ech": true, "server_name": "a\"b"},
                "server": {"subject": "s"},
                "version_number": 3,
            },
        });
        assert_eq!(read, expected);
    }
}
