//! Configuration: TOML in, a [`Plan`] or a list of errors out.

pub mod plan;

pub use plan::{
    Checksum, EalPlan, GroupPlan, Hugepages, Idle, ListenPlan, MbufPlan, Plan, PortPlan, ServicePlan,
    WorkerPlan,
};
