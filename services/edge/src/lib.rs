//! Role edge: hosts adapters and faces the Internet
