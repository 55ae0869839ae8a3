//! The tensors of a checkpoint in safetensors, where they lie in the mapped file.

use std::path::Path;
use std::sync::Arc;

use candle_core::safetensors::MmapedSafetensors;
use candle_core::{DType, Device, Result, bail};

use crate::compute::dense::Matrix;

/// A checkpoint; names are relative to its root.
pub(super) struct Checkpoint {
    file: MmapedSafetensors,
    root: String,
}

impl Checkpoint {
    /// Maps a file of which the weights stand under their plain names or under a model's.
    pub(super) fn open(path: &Path, model: Option<&str>) -> Result<Arc<Checkpoint>> {
        // SAFETY: the file is of the model cache, where files are only ever replaced as a whole by
        // a rename, never written in place.
        #[expect(unsafe_code, reason = "a file is mapped")]
        let file = unsafe { MmapedSafetensors::new(path) }?;
        let is_root =
            |root: &String| file.get(&format!("{root}embeddings.word_embeddings.weight")).is_ok();
        let root = ["bert"].into_iter().chain(model).map(|name| format!("{name}."));
        let root = root.into_iter().find(is_root).unwrap_or_default();
        Ok(Arc::new(Checkpoint { file, root }))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.file.get(&self.name(name)).is_ok()
    }

    /// A tensor's numbers, copied.
    pub(super) fn numbers(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let tensor = self.file.load(&self.name(name), &Device::Cpu)?;
        if tensor.dims() != shape {
            bail!("{name} has the shape {:?}, not {shape:?}", tensor.dims());
        }
        tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1()
    }

    /// A tensor's numbers where they lie; nothing if they are not of single precision there.
    fn mapped(&self, name: &str, shape: &[usize]) -> Option<&[f32]> {
        let tensor = self.file.get(&self.name(name)).ok()?;
        let is_single = DType::try_from(tensor.dtype()).is_ok_and(|dtype| dtype == DType::F32);
        let is_so = is_single && tensor.shape() == shape && cfg!(target_endian = "little");
        bytemuck::try_cast_slice(tensor.data()).ok().filter(|_| is_so)
    }

    fn name(&self, name: &str) -> String {
        format!("{}{name}", self.root)
    }
}

/// A tensor that is not copied if that can be helped: copying the weights takes longer than one
/// short text takes to embed.
pub(super) struct Weight {
    from: Arc<Checkpoint>,
    name: String,
    shape: [usize; 2],
    copy: Option<Vec<f32>>,
}

impl Weight {
    /// A matrix `[rows, columns]`.
    pub(super) fn load(from: &Arc<Checkpoint>, name: &str, shape: [usize; 2]) -> Result<Weight> {
        let copy = match from.mapped(name, &shape) {
            Some(_) => None,
            None => Some(from.numbers(name, &shape)?),
        };
        Ok(Weight { from: Arc::clone(from), name: name.to_owned(), shape, copy })
    }

    /// Rows and columns.
    pub(super) fn shape(&self) -> [usize; 2] {
        self.shape
    }

    /// Its numbers, row by row.
    pub(super) fn numbers(&self) -> &[f32] {
        let mapped = || self.from.mapped(&self.name, &self.shape);
        // What was mapped when it was loaded still is.
        self.copy.as_deref().or_else(mapped).unwrap_or_default()
    }

    /// Its numbers as a matrix.
    pub(super) fn matrix(&self) -> Matrix<'_> {
        let [rows, columns] = self.shape;
        Matrix::new(self.numbers(), rows, columns, columns)
    }
}
