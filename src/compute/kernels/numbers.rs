//! Arithmetic of rows of numbers, by what this machine has.

use super::tier::kernels;

/// [`crate::compute::math::softmax`].
pub fn softmax(row: &mut [f32]) {
    (kernels().floats.softmax)(row);
}

/// [`crate::compute::math::gelu`] of each number.
pub fn gelu(numbers: &mut [f32]) {
    (kernels().floats.gelu)(numbers);
}

/// [`crate::compute::math::layer_norm`].
pub fn layer_norm(row: &mut [f32], scale: &[f32], shift: &[f32], epsilon: f32) {
    (kernels().floats.layer_norm)(row, scale, shift, epsilon);
}

/// [`crate::compute::math::rms_norm`].
pub fn rms_norm(row: &mut [f32], scale: &[f32], epsilon: f32) {
    (kernels().floats.rms_norm)(row, scale, epsilon);
}
