//! Role dispatch: sends messages
