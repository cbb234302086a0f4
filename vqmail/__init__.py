"""vqmail: a qmail-style mail toolchain for many independent domains on one machine."""
