//! Role unify: applies events to customers
