//! Where models run, threads that models and builds share, products of packed weights, and the
//! arithmetic of rows of numbers.

mod bytes;
mod crew;
pub mod dense;
mod device;
pub mod kernels;
pub mod math;
mod pace;
mod pool;
mod urgent;

pub use bytes::{Bytes, Mapped};
pub use device::{Device, DeviceChoice, Gpu};
pub use kernels::{Tier, cap_tier, tier};
pub use pace::Pace;
pub use pool::Pool;
pub use urgent::{Urgent, Yielding};
