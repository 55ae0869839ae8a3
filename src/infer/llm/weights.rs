//! A GGUF file, mapped → the weights of a decoder.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use candle_core::quantized::gguf_file::{Content, TensorInfo};
use candle_core::quantized::{GgmlDType, QStorage, QTensor};
use candle_core::{Device, Result, bail};

use super::family::Facts;
use super::packed::{self, Shape};
use crate::compute::kernels::{Format, Matrix, Source, pack};
use crate::compute::{Mapped, Pool};

/// Where packed weights are kept, and whose they are.
pub(super) struct Keep<'a> {
    pub(super) path: &'a Path,
    pub(super) identity: &'a str,
}

/// The tensors of a file.
pub(super) struct Weights {
    pub(super) content: Content,
    pub(super) file: Arc<Mapped>,
}

/// All matrices of a model.
pub(super) struct Matrices {
    pub(super) layers: Vec<LayerMatrices>,
    pub(super) output: Matrix,
}

/// The matrices of a layer, each `[outputs, inputs]`.
pub(super) struct LayerMatrices {
    pub(super) query: Matrix,
    pub(super) key: Matrix,
    pub(super) value: Matrix,
    pub(super) attended: Matrix,
    pub(super) gate: Matrix,
    pub(super) up: Matrix,
    pub(super) down: Matrix,
}

/// One row a token, as they lie in the file.
pub(super) struct Words {
    file: Arc<Mapped>,
    start: usize,
    row: usize,
    hidden: usize,
    count: usize,
    dtype: GgmlDType,
}

/// Some rows of a tensor, which become a matrix of their own.
struct Part {
    tensor: String,
    first: usize,
}

impl Weights {
    pub(super) fn has(&self, name: &str) -> bool {
        self.content.tensor_infos.contains_key(name)
    }

    fn info(&self, name: &str) -> Result<&TensorInfo> {
        match self.content.tensor_infos.get(name) {
            Some(info) => Ok(info),
            None => bail!("the tensor {name} is missing"),
        }
    }

    /// Where a tensor lies in the file.
    fn place(&self, name: &str) -> Result<std::ops::Range<usize>> {
        let info = self.info(name)?;
        let dtype = info.ggml_dtype;
        let count = info.shape.elem_count();
        let start = self.content.tensor_data_offset.checked_add(info.offset);
        let start = start.and_then(|start| usize::try_from(start).ok());
        let size = (count / dtype.block_size()).checked_mul(dtype.type_size());
        let place = start
            .zip(size)
            .and_then(|(start, size)| Some(start..start.checked_add(size)?))
            .filter(|place| place.end <= self.file.len());
        match place {
            Some(place) if count.is_multiple_of(dtype.block_size()) => Ok(place),
            _ => bail!("the file ends before the tensor {name}"),
        }
    }

    /// A tensor in full precision.
    pub(super) fn numbers(&self, name: &str, count: usize) -> Result<Vec<f32>> {
        let info = self.info(name)?;
        if info.shape.elem_count() != count {
            bail!("{name} is of the shape {:?} and not of {count}", info.shape);
        }
        widen(&self.file[self.place(name)?], info.ggml_dtype, count)
    }

    /// The same, of any length; nothing if there is no such tensor.
    pub(super) fn any_numbers(&self, name: &str) -> Result<Option<Vec<f32>>> {
        if !self.has(name) {
            return Ok(None);
        }
        let count = self.info(name)?.shape.elem_count();
        self.numbers(name, count).map(Some)
    }

    /// The embeddings of tokens, which stay in the file.
    pub(super) fn words(&self, facts: &Facts) -> Result<Words> {
        let name = "token_embd.weight";
        let (count, hidden) = self.info(name)?.shape.dims2()?;
        let dtype = self.info(name)?.ggml_dtype;
        if hidden != facts.hidden || !hidden.is_multiple_of(dtype.block_size()) {
            bail!("the embeddings are of the shape [{count}, {hidden}]");
        }
        Ok(Words {
            file: Arc::clone(&self.file),
            start: self.place(name)?.start,
            row: hidden / dtype.block_size() * dtype.type_size(),
            hidden,
            count,
            dtype,
        })
    }

    /// All matrices, packed; from where they are kept, if they are there. With what went wrong when
    /// they could not be kept.
    pub(super) fn matrices(
        &self,
        facts: &Facts,
        pool: &Pool,
        keep: Option<Keep<'_>>,
    ) -> Result<(Matrices, Option<String>)> {
        let mut shapes = Vec::new();
        let mut parts = Vec::new();
        let mut add = |tensor: String, first: usize, rows: usize, columns: usize| {
            let info = self.info(&tensor)?;
            let (all, wide) = info.shape.dims2()?;
            let format = format_of(info.ggml_dtype);
            if first + rows > all || wide != columns || !columns.is_multiple_of(format.block()) {
                bail!("{tensor} is of the shape [{all}, {wide}] and not [{rows}, {columns}]");
            }
            self.place(&tensor)?;
            shapes.push(Shape { name: format!("{tensor}+{first}"), format, rows, columns });
            parts.push(Part { tensor, first });
            Ok(())
        };
        let Facts { hidden, heads, kv_heads, head_size, .. } = *facts;
        let (query, key) = (heads * head_size, kv_heads * head_size);
        for n in 0..facts.layers {
            let name = |part: &str| format!("blk.{n}.{part}.weight");
            let wide = self.info(&name("ffn_down"))?.shape.dims2()?.1;
            if facts.is_fused {
                add(name("attn_qkv"), 0, query, hidden)?;
                add(name("attn_qkv"), query, key, hidden)?;
                add(name("attn_qkv"), query + key, key, hidden)?;
            } else {
                add(name("attn_q"), 0, query, hidden)?;
                add(name("attn_k"), 0, key, hidden)?;
                add(name("attn_v"), 0, key, hidden)?;
            }
            add(name("attn_output"), 0, hidden, query)?;
            if facts.is_fused {
                add(name("ffn_up"), 0, wide, hidden)?;
                add(name("ffn_up"), wide, wide, hidden)?;
            } else {
                add(name("ffn_gate"), 0, wide, hidden)?;
                add(name("ffn_up"), 0, wide, hidden)?;
            }
            add(name("ffn_down"), 0, hidden, wide)?;
        }
        let output = match self.has("output.weight") {
            true => "output.weight",
            false => "token_embd.weight",
        };
        let vocabulary = self.info(output)?.shape.dims2()?.0;
        add(output.to_owned(), 0, vocabulary, hidden)?;
        let pack = |n: usize, first: usize, into: &mut [u8]| {
            self.pack(pool, &parts[n], &shapes[n], first, into).map_err(|error| error.to_string())
        };
        let path = keep.as_ref().map(|keep| keep.path);
        let identity = keep.as_ref().map_or("", |keep| keep.identity);
        let (matrices, complaint) = packed::matrices(path, identity, &shapes, &pack)
            .map_err(|what| candle_core::Error::Msg(what).bt())?;
        let mut matrices = matrices.into_iter();
        let mut next = || match matrices.next() {
            Some(matrix) => Ok(matrix),
            None => bail!("a matrix is missing"),
        };
        let layers = (0..facts.layers)
            .map(|_| {
                Ok(LayerMatrices {
                    query: next()?,
                    key: next()?,
                    value: next()?,
                    attended: next()?,
                    gate: next()?,
                    up: next()?,
                    down: next()?,
                })
            })
            .collect::<Result<_>>()?;
        Ok((Matrices { layers, output: next()? }, complaint))
    }

    /// Packs tiles of a part; the pages of the file that were read for it are let go of.
    fn pack(
        &self,
        pool: &Pool,
        part: &Part,
        shape: &Shape,
        first: usize,
        into: &mut [u8],
    ) -> Result<()> {
        let dtype = self.info(&part.tensor)?.ggml_dtype;
        let place = self.place(&part.tensor)?;
        let row = shape.columns / dtype.block_size() * dtype.type_size();
        let start = place.start + part.first * row;
        let bytes = &self.file[start..start + shape.rows * row];
        let write = |n: usize, numbers: &mut [f32]| {
            match widen(&bytes[n * row..][..row], dtype, numbers.len()) {
                Ok(wide) => numbers.copy_from_slice(&wide),
                // Its size is right, so there is nothing left that could be wrong.
                Err(_) => numbers.fill(0.0),
            }
        };
        let source = match dtype {
            GgmlDType::Q4K => Source::Q4K(bytes),
            GgmlDType::Q6K => Source::Q6K(bytes),
            GgmlDType::Q8_0 => Source::Q8(bytes),
            _ => Source::Numbers(&write),
        };
        let tiles = into.len() / crate::compute::kernels::tile_bytes(shape.format, shape.columns);
        pack(pool, &source, (shape.rows, shape.columns), first..first + tiles, into);
        self.file.let_go(place);
        Ok(())
    }
}

impl Words {
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// The embedding of a token.
    pub(super) fn write(&self, token: u32, into: &mut [f32]) -> Result<()> {
        let token = token as usize;
        if token >= self.count {
            bail!("token {token} is not in the model");
        }
        let bytes = &self.file[self.start + token * self.row..][..self.row];
        into.copy_from_slice(&widen(bytes, self.dtype, self.hidden)?);
        Ok(())
    }
}

/// What weights of a type are packed as.
fn format_of(dtype: GgmlDType) -> Format {
    match dtype {
        GgmlDType::Q4K => Format::Q4K,
        GgmlDType::Q6K => Format::Q6K,
        _ => Format::Q8,
    }
}

fn widen(bytes: &[u8], dtype: GgmlDType, count: usize) -> Result<Vec<f32>> {
    let device = &Device::Cpu;
    let storage = QStorage::from_data(Cow::Borrowed(bytes), device, dtype)?;
    QTensor::new(storage, count)?.dequantize(device)?.to_vec1()
}
