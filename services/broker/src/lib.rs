//! The broker port: embedded and RabbitMQ
