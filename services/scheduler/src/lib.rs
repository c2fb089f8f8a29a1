//! Role scheduler: everything that happens by itself
