//! Channel adapters: pure translators between providers and the contract
