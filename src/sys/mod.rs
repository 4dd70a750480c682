//! The only `unsafe`: small safe functions over the kernel.

pub(crate) mod sock_diag;
