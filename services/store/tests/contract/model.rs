//! Random histories: every implementation answers as the reference does.
