//! Role api: answers internal services
