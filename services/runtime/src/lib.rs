//! Configuration, telemetry, health, graceful stop and supervised tasks
