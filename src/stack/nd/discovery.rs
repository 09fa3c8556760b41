//! Router discovery (RFC 4861 6.3): what the routers on one link say of it, and what follows for the host.
