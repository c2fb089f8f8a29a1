//! Faithful fake providers for the demo, tests and benchmarks
