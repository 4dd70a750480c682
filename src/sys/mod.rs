//! The only `unsafe`: small safe functions over the kernel.
