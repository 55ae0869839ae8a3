//! What a schema says of a place in a document.

use serde_json::Value;

use super::Schema;

/// One step from a value into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The member of that name.
    Member(String),
    /// The item of that number, from 0.
    Item(usize),
}

/// Schemas about one place that are looked at, at the most: they may refer to each other in circles.
const MOST: usize = 256;

impl Schema {
    /// Whether it lists the value at a place among those to choose from (`enum`, `const`).
    pub fn lists(&self, path: &[Step], value: &Value) -> bool {
        self.at(path).iter().any(|schema| {
            let listed = schema.get("enum").and_then(Value::as_array);
            schema.get("const") == Some(value) || listed.is_some_and(|all| all.contains(value))
        })
    }

    /// Whether it names the member at a place itself, rather than leaving the name to the writer.
    pub fn names(&self, path: &[Step]) -> bool {
        let Some((Step::Member(name), parent)) = path.split_last() else { return true };
        let of = |schema: &&Value| schema.get("properties").and_then(|all| all.get(name)).is_some();
        // A whole object to choose has its names from the schema, too.
        let is_listed = |schema: &&Value| schema.get("enum").or(schema.get("const")).is_some();
        self.at(parent).iter().any(|schema| of(schema) || is_listed(schema))
    }

    /// Whether the items at a place mean something by their order.
    pub fn is_tuple(&self, path: &[Step]) -> bool {
        self.at(path).iter().any(|schema| {
            schema.get("prefixItems").is_some() || schema.get("items").is_some_and(Value::is_array)
        })
    }

    /// The schemas that may be about a place.
    fn at(&self, path: &[Step]) -> Vec<&Value> {
        let mut here = self.all(vec![&self.whole]);
        for step in path {
            let next = here.iter().flat_map(|schema| within(schema, step)).collect();
            here = self.all(next);
        }
        here
    }

    /// Schemas with those that they refer to and are joined of.
    fn all<'a>(&'a self, mut found: Vec<&'a Value>) -> Vec<&'a Value> {
        let mut at = 0;
        while let Some(schema) = found.get(at).copied()
            && found.len() < MOST
        {
            at += 1;
            let mut add = |other: &'a Value| {
                if !found.iter().any(|known| std::ptr::eq(*known, other)) {
                    found.push(other);
                }
            };
            for key in ["allOf", "anyOf", "oneOf"] {
                schema.get(key).and_then(Value::as_array).into_iter().flatten().for_each(&mut add);
            }
            let named = schema.get("$ref").and_then(Value::as_str);
            let pointer = named.and_then(|named| named.strip_prefix('#'));
            if let Some(other) = pointer.and_then(|pointer| self.whole.pointer(pointer)) {
                add(other);
            }
        }
        found
    }
}

/// The schemas in a schema about what is one step further in.
fn within<'a>(schema: &'a Value, step: &Step) -> Vec<&'a Value> {
    let of = |key: &str| schema.get(key).filter(|value| !value.is_boolean());
    match step {
        Step::Member(name) => {
            let named = of("properties").and_then(|all| all.get(name));
            let patterns = of("patternProperties").and_then(Value::as_object);
            let patterns = patterns.into_iter().flat_map(serde_json::Map::values);
            match named {
                Some(named) => vec![named],
                None => patterns.chain(of("additionalProperties")).collect(),
            }
        }
        Step::Item(n) => {
            let items = schema.get("items");
            let first = schema.get("prefixItems").or(items).and_then(Value::as_array);
            let own = first.and_then(|first| first.get(*n));
            let further = of("additionalItems").or(items.filter(|items| items.is_object()));
            own.or(further).into_iter().collect()
        }
    }
}
