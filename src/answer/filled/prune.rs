//! What does not hold → out of a document, as far as its schema lets it. Pure.

use serde_json::Value;

use crate::infer::schema::{Schema, Step};

type Path = Vec<Step>;

/// A document without the values at some places that do not hold: a member or an item is removed, or
/// becomes null, whichever the schema allows first; else what it stands in goes. What has nothing left
/// in it that was found to hold goes, too, if it can. `None` if that leaves no document.
///
/// `held` and `refused` are in the document's order.
pub(super) fn prune(
    mut document: Value,
    (held, refused): (&[Path], &[Path]),
    schema: &Schema,
    accepts: &dyn Fn(&Value) -> bool,
) -> Option<Value> {
    let mut gone: Vec<Path> = Vec::new();
    // From the end on: what comes before a removed item keeps its number.
    for path in refused.iter().rev() {
        if gone.iter().any(|other| path.starts_with(other)) {
            continue;
        }
        let mut path = path.clone();
        while !take_out(&mut document, &path, schema, accepts) {
            path.pop()?;
        }
        gone.push(path.clone());
        while path.pop().is_some() && !path.is_empty() {
            let is_bare = !held.iter().any(|other| other.starts_with(&path));
            if !is_bare || !take_out(&mut document, &path, schema, accepts) {
                break;
            }
            gone.push(path.clone());
        }
    }
    Some(document)
}

/// Removes what stands at a place, or puts null there; `false` if the schema allows neither.
fn take_out(
    document: &mut Value,
    path: &[Step],
    schema: &Schema,
    accepts: &dyn Fn(&Value) -> bool,
) -> bool {
    let Some((last, parent)) = path.split_last() else { return false };
    let is_tuple = schema.is_tuple(parent);
    let mut without = document.clone();
    let is_removed = match (at(&mut without, parent), last) {
        (Some(Value::Object(members)), Step::Member(name)) => members.shift_remove(name).is_some(),
        (Some(Value::Array(items)), Step::Item(n)) if !is_tuple && *n < items.len() => {
            items.remove(*n);
            true
        }
        _ => false,
    };
    if is_removed && accepts(&without) {
        *document = without;
        return true;
    }
    let mut nullified = document.clone();
    let Some(place) = at(&mut nullified, path) else { return false };
    *place = Value::Null;
    let is_allowed = accepts(&nullified);
    if is_allowed {
        *document = nullified;
    }
    is_allowed
}

fn at<'a>(document: &'a mut Value, path: &[Step]) -> Option<&'a mut Value> {
    path.iter().try_fold(document, |value, step| match step {
        Step::Member(name) => value.get_mut(name),
        Step::Item(n) => value.get_mut(*n),
    })
}
