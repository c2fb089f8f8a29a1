//! Role ingest: takes pushes and puts them durably on the broker
