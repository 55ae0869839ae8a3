//! Packed weights in a file of the cache, so that they are packed once.
//!
//! The file begins with a header that says what it is made of: the model's identity, the layout and
//! each matrix with its place. One whose header or length is not what is wanted is not used, but
//! made anew. It gets its name when it is complete and on the disk.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::base::files;
use crate::compute::kernels::{Format, Matrix, TILE, tile_bytes};
use crate::compute::{Bytes, Mapped};

/// Grows when tiles are laid out otherwise.
const VERSION: u32 = 2;

/// Matrices begin at multiples of this.
const ALIGNMENT: usize = 64;

/// Bytes that are packed and written at once, about.
const BAND: usize = 16 << 20;

/// A matrix as it is packed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) name: String,
    pub(super) format: Format,
    pub(super) rows: usize,
    pub(super) columns: usize,
}

impl Shape {
    fn tile_bytes(&self) -> usize {
        tile_bytes(self.format, self.columns)
    }

    fn tiles(&self) -> usize {
        self.rows.div_ceil(TILE)
    }

    fn bytes(&self) -> usize {
        self.tile_bytes() * self.tiles()
    }
}

/// Writes the tiles from one on that fill the buffer of the matrix of that number.
pub(super) type Pack<'a> = dyn Fn(usize, usize, &mut [u8]) -> std::result::Result<(), String> + 'a;

/// The matrices, from the file at `path` if it is theirs; else packed, and kept there. With what
/// went wrong when they could only be packed in memory.
///
/// # Errors
/// What `pack` fails with.
pub(super) fn matrices(
    path: Option<&Path>,
    identity: &str,
    shapes: &[Shape],
    pack: &Pack<'_>,
) -> std::result::Result<(Vec<Matrix>, Option<String>), String> {
    let header = header(identity, shapes);
    let mut complaint = None;
    if let Some(path) = path {
        if let Some(matrices) = open(path, &header, shapes) {
            return Ok((matrices, None));
        }
        match write(path, &header, shapes, pack) {
            Ok(()) => match open(path, &header, shapes) {
                Some(matrices) => return Ok((matrices, None)),
                None => complaint = Some("it is not what was written".to_owned()),
            },
            Err(Failed::Pack(what)) => return Err(what),
            Err(Failed::Write(error)) => complaint = Some(error.to_string()),
        }
    }
    let matrices = shapes.iter().enumerate().map(|(n, shape)| {
        let mut bytes = vec![0; shape.bytes()];
        pack(n, 0, &mut bytes)?;
        matrix(shape, Bytes::Owned(bytes))
    });
    Ok((matrices.collect::<std::result::Result<_, _>>()?, complaint))
}

fn matrix(shape: &Shape, bytes: Bytes) -> std::result::Result<Matrix, String> {
    Matrix::new(shape.format, shape.rows, shape.columns, bytes)
        .ok_or_else(|| format!("{} is not of its size", shape.name))
}

/// Where each matrix begins after a header of that length, and where the last one ends.
fn places(header: usize, shapes: &[Shape]) -> (Vec<usize>, usize) {
    let mut at = header;
    let starts = shapes
        .iter()
        .map(|shape| {
            let start = at.next_multiple_of(ALIGNMENT);
            at = start + shape.bytes();
            start
        })
        .collect();
    (starts, at)
}

fn header(identity: &str, shapes: &[Shape]) -> Vec<u8> {
    let mut said = format!("wellread packed weights\nversion {VERSION}\ntile {TILE}\n");
    let _ = writeln!(said, "model {identity}");
    let (starts, end) = places(0, shapes);
    for (shape, start) in shapes.iter().zip(starts) {
        let Shape { name, format, rows, columns } = shape;
        let _ = writeln!(said, "{name} {} {rows} {columns} {start}", format.number());
    }
    let _ = writeln!(said, "end {end}");
    let digest = Sha256::digest(said.as_bytes());
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let _ = writeln!(said, "sha256 {digest}");
    let mut header = said.into_bytes();
    header.resize(header.len().next_multiple_of(4096), 0);
    header
}

fn open(path: &Path, header: &[u8], shapes: &[Shape]) -> Option<Vec<Matrix>> {
    let mut file = fs_err::File::open(path).ok()?;
    let (starts, end) = places(header.len(), shapes);
    let mut found = vec![0; header.len()];
    file.read_exact(&mut found).ok()?;
    if found != header || file.metadata().ok()?.len() != end as u64 {
        return None;
    }
    let file = Arc::new(Mapped::new(&file).ok()?);
    let matrices = shapes.iter().zip(starts).map(|(shape, start)| {
        matrix(shape, Bytes::Mapped(Arc::clone(&file), start..start + shape.bytes())).ok()
    });
    matrices.collect()
}

enum Failed {
    Pack(String),
    Write(std::io::Error),
}

impl From<std::io::Error> for Failed {
    fn from(error: std::io::Error) -> Failed {
        Failed::Write(error)
    }
}

fn write(
    path: &Path,
    header: &[u8],
    shapes: &[Shape],
    pack: &Pack<'_>,
) -> std::result::Result<(), Failed> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs_err::create_dir_all(folder)?;
    files::sweep(folder);
    files::write_by(path, |file| {
        file.write_all(header)?;
        let mut at = header.len();
        let (starts, _) = places(header.len(), shapes);
        let mut band = Vec::new();
        for (n, (shape, start)) in shapes.iter().zip(starts).enumerate() {
            file.write_all(&[0; ALIGNMENT][..start - at])?;
            let size = shape.tile_bytes();
            let at_once = (BAND / size).max(1);
            for first in (0..shape.tiles()).step_by(at_once) {
                band.resize(at_once.min(shape.tiles() - first) * size, 0);
                pack(n, first, &mut band).map_err(Failed::Pack)?;
                file.write_all(&band)?;
            }
            at = start + shape.bytes();
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn shapes() -> Vec<Shape> {
        let shape = |name: &str, rows, columns| Shape {
            name: name.to_owned(),
            format: Format::Q8,
            rows,
            columns,
        };
        vec![shape("a", 11, 96), shape("b", 16, 32)]
    }

    /// Loads the matrices; whether they were packed, and what went wrong.
    fn load(path: &Path, identity: &str, shapes: &[Shape]) -> (bool, Option<String>) {
        let packed = Cell::new(false);
        let pack = |n: usize, first: usize, bytes: &mut [u8]| {
            packed.set(true);
            bytes.fill((n * 100 + first) as u8);
            Ok(())
        };
        let (matrices, complaint) = matrices(Some(path), identity, shapes, &pack).unwrap();
        assert_eq!(matrices.len(), shapes.len());
        (packed.get(), complaint)
    }

    #[test]
    fn weights_are_packed_once_and_anew_when_the_file_is_not_theirs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deeper").join("model.packed");
        let shapes = shapes();
        assert_eq!(load(&path, "one", &shapes), (true, None));
        assert_eq!(load(&path, "one", &shapes), (false, None));
        let good = fs_err::read(&path).unwrap();
        type Damage = fn(&mut Vec<u8>);
        let damages: [Damage; 6] = [
            |bytes| bytes.clear(),
            |bytes| bytes.truncate(100),
            |bytes| bytes.truncate(bytes.len() - 1),
            |bytes| bytes.push(0),
            |bytes| bytes[30] ^= 1,
            |bytes| bytes[4000] ^= 1,
        ];
        for (n, damage) in damages.into_iter().enumerate() {
            let mut bytes = good.clone();
            damage(&mut bytes);
            fs_err::write(&path, bytes).unwrap();
            assert_eq!(load(&path, "one", &shapes), (true, None), "damage {n}");
            assert_eq!(fs_err::read(&path).unwrap(), good, "damage {n}");
        }
        assert_eq!(load(&path, "another", &shapes), (true, None));
        let mut other = shapes;
        other[1].rows = 15;
        assert_eq!(load(&path, "another", &other), (true, None));
        let files = fs_err::read_dir(path.parent().unwrap()).unwrap().count();
        assert_eq!(files, 1, "something was left behind");
    }

    #[test]
    fn without_a_place_for_the_file_weights_are_packed_in_memory() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs_err::write(&file, "").unwrap();
        let (packed, complaint) = load(&file.join("model.packed"), "one", &shapes());
        assert!(packed && complaint.is_some());
    }

    #[test]
    fn a_matrix_that_cannot_be_packed_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.packed");
        let error = matrices(Some(&path), "one", &shapes(), &|_, _, _| Err("broken".to_owned()));
        assert_eq!(error.err().unwrap(), "broken");
        assert_eq!(fs_err::read_dir(folder.path()).unwrap().count(), 0);
    }
}
