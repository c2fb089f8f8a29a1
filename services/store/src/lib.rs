//! The store port: embedded and Redis
