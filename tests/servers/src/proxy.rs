//! A TCP proxy that cuts, pauses and delays connections when told.
