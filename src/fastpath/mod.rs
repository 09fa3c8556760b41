//! fastpath (being built).
