//! Quantities as a user writes them, `"250ms"` or `"64KiB"`, ⇄ typed values.
